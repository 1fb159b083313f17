"""gRPC's headers and trailers: the deadline, the metadata, the peer's name, and how a call ended."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import quote

from conveyor_server.calls import CallError
from conveyor_server.shortening import MAX_TEXT
from conveyor_server.statuses import Code

Header = tuple[bytes, bytes]

_UNITS: Final = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_MAX_DIGITS: Final = 8
# Belong to the transport, not to the caller.
_HIDDEN: Final = frozenset({b"content-type", b"host", b"te", b"x-forwarded-client-cert"})
# Written by Envoy about the caller's verified certificate; one that a caller sends is taken away.
CERTIFICATE_HEADER: Final = b"x-forwarded-client-cert"
# Parts of it that name somebody, the best first.
_NAMES: Final = ("URI", "DNS", "Subject")
_COMMON_NAME: Final = re.compile(r"(?:^|,)CN=((?:[^,\\]|\\.)+)")
_PART: Final = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|[^;,]*)')
_UNQUOTED: Final = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")


def parse_timeout(value: bytes) -> float:
    """Seconds of a grpc-timeout header, as 501m or 10S. Raises CallError."""
    digits, unit = value[:-1], _UNITS.get(value[-1:])
    if unit is None or not digits.isdigit() or len(digits) > _MAX_DIGITS:
        text = f"the grpc-timeout {value[:MAX_TEXT]!r} is not a number and a unit, as 500m"
        raise CallError(Code.INVALID_ARGUMENT, text)
    return int(digits) * unit


def decode_metadata(headers: Mapping[bytes, bytes]) -> dict[str, str | bytes]:
    """The caller's metadata; the values of keys in -bin are bytes. What cannot be decoded is left out."""
    metadata: dict[str, str | bytes] = {}
    for key, value in headers.items():
        if key in _HIDDEN or key.startswith(b"grpc-"):
            continue
        if not key.endswith(b"-bin"):
            metadata[key.decode("latin-1")] = value.decode("latin-1")
            continue
        last = value.rpartition(b",")[2].strip().rstrip(b"=")
        try:
            metadata[key.decode("latin-1")] = binascii.a2b_base64(last + b"=" * (-len(last) % 4))
        except binascii.Error:
            continue
    return metadata


def name_of_peer(client: tuple[str, int] | None) -> str:
    """An address in gRPC's notation: ipv4:127.0.0.1:5000, ipv6:%5B::1%5D:5000."""
    if client is None:
        return "unknown"
    host, port = client
    return f"ipv6:%5B{host}%5D:{port}" if ":" in host else f"ipv4:{host}:{port}"


def name_of_certificate(header: bytes | None) -> str | None:
    """The name in Envoy's x-forwarded-client-cert: the first URI or DNS name, else the subject's; None without one."""
    if header is None:
        return None
    parts: dict[str, str] = {}
    for key, value in _PART.findall(header.decode("latin-1")):
        parts.setdefault(key, value.strip('"'))
    for key in _NAMES:
        if name := parts.get(key):
            common = _COMMON_NAME.search(name) if key == "Subject" else None
            return common.group(1) if common else name
    return parts.get("Hash")


def trailers_of(code: Code, message: str, metadata: Iterable[tuple[str, str]]) -> list[Header]:
    """The headers that end a call."""
    trailers = [(b"grpc-status", b"%d" % code)]
    if message:
        trailers.append((b"grpc-message", quote(message, safe=_UNQUOTED, errors="replace").encode("ascii")))
    trailers.extend((key.lower().encode("ascii"), value.encode("ascii", "replace")) for key, value in metadata)
    return trailers
