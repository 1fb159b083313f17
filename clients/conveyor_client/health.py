"""The standard health check (grpc.health.v1), spoken by hand.

Its two messages hold one field each. Registering them with protobuf would clash, in one process, with the
grpcio-health-checking package.
"""

HEALTH_CHECK = "/grpc.health.v1.Health/Check"
_STRING_FIELD_1, _VARINT_FIELD_1, _SERVING = 0x0A, 0x08, 1


def encode_request(service: str) -> bytes:
    """A HealthCheckRequest; an empty service asks for the server as a whole."""
    name = service.encode()
    if not name:
        return b""
    length, size = bytearray(), len(name)
    while size > 0x7F:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    length.append(size)
    return bytes([_STRING_FIELD_1, *length]) + name


def is_serving(response: bytes) -> bool:
    """Whether a HealthCheckResponse says SERVING."""
    return response[:2] == bytes([_VARINT_FIELD_1, _SERVING])
