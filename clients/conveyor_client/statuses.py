"""From gRPC's status codes to the client's exceptions."""

import grpc

from conveyor.v1 import classifier_pb2
from conveyor_client.errors import (
    AccessDenied,
    ConveyorClientError,
    DeadlineExceeded,
    InsecureConnection,
    InvalidImage,
    ModelNotFound,
    Overloaded,
    ServerError,
    ServerUnavailable,
)

_CODES = {code.value[0]: code for code in grpc.StatusCode}
_NO_TLS = ("handshake", "CERTIFICATE_VERIFY_FAILED", "erification check", "Peer name", "SSL_ERROR")
_TOO_LARGE = ("larger than max", "over the limit of")  # gRPC's words, and the server's own
_NO_CONNECTION = ("failed to connect", "Socket closed", "Connection reset", "DNS resolution", "connections to all")


def status_code(error: grpc.RpcError) -> grpc.StatusCode:
    """The code that a call ended with."""
    return error.code() if isinstance(error, grpc.Call | grpc.aio.AioRpcError) else grpc.StatusCode.UNKNOWN


def is_too_large(error: grpc.RpcError) -> bool:
    """Whether a message was over a limit, here or at the server: the same code as for a full queue, but for ever."""
    details = (error.details() if isinstance(error, grpc.Call | grpc.aio.AioRpcError) else "") or ""
    said = any(words in details for words in _TOO_LARGE)
    return status_code(error) is grpc.StatusCode.RESOURCE_EXHAUSTED and said


def call_failure(error: grpc.RpcError, address: str, image: str = "") -> ConveyorClientError:
    """The exception for a failed call to the server at address; image names the only one that was sent, if any."""
    code = status_code(error)
    details = (error.details() if isinstance(error, grpc.Call | grpc.aio.AioRpcError) else str(error)) or ""
    if code is grpc.StatusCode.UNAVAILABLE and any(words in details for words in _NO_TLS):
        return InsecureConnection(
            f"no TLS connection to {address} ({_sentence(details)}); check that the server uses TLS, its certificate, "
            "root_certificates and server_name"
        )
    if code is grpc.StatusCode.UNAVAILABLE and any(words in details for words in _NO_CONNECTION):
        return ServerUnavailable(
            f"no server answers at {address} ({_sentence(details)}); check the address, grpcs:// for TLS, "
            "or start one: conveyor serve"
        )
    if is_too_large(error):
        return InvalidImage(f"the message is too large for {address} ({_sentence(details)}); send less at a time")
    if code is grpc.StatusCode.INVALID_ARGUMENT and image:
        return _failure(code, details, image)
    return _failure(code, details, f"the server at {address}")


def item_failure(error: classifier_pb2.ItemError, name: str) -> ConveyorClientError:
    """The exception for one image among several."""
    return _failure(_CODES.get(error.code, grpc.StatusCode.UNKNOWN), error.message, name)


def _failure(code: grpc.StatusCode, details: str, where: str) -> ConveyorClientError:
    said = _sentence(details)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlineExceeded(f"{where}: no answer within the timeout ({said}); allow more time or send less")
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return Overloaded(f"{where}: overloaded ({said}); send more slowly, or serve on more instances")
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return ServerError(f"{where}: no Conveyor server, or an older one ({said}); check the address")
    kinds: dict[grpc.StatusCode, type[ConveyorClientError]] = {
        grpc.StatusCode.INVALID_ARGUMENT: InvalidImage,
        grpc.StatusCode.NOT_FOUND: ModelNotFound,
        grpc.StatusCode.PERMISSION_DENIED: AccessDenied,
        grpc.StatusCode.UNAUTHENTICATED: AccessDenied,
        grpc.StatusCode.UNAVAILABLE: ServerUnavailable,
    }
    if code in kinds:
        return kinds[code](f"{where}: {said}")
    return ServerError(f"{where}: {code.name}: {said}")


def _sentence(details: str) -> str:
    """What was said, on one line and without its full stop."""
    return " ".join(details.split()).rstrip(".") or "no reason given"
