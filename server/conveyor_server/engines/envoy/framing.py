"""gRPC's messages on an HTTP/2 stream: a flag for compression, four bytes of length, then the message."""

from __future__ import annotations

import struct
import zlib
from typing import Final

from conveyor_server.calls import CallError
from conveyor_server.statuses import Code

_PREFIX: Final = struct.Struct(">BI")
PREFIX_BYTES: Final = _PREFIX.size
# Both are read by the same function of zlib, which looks at the first bytes.
ENCODINGS: Final = (b"gzip", b"deflate")
_ANY_ZLIB_HEADER: Final = 32 + zlib.MAX_WBITS


def frame(message: bytes) -> bytes:
    """The message with its prefix, not compressed."""
    return _PREFIX.pack(0, len(message)) + message


class FrameReader:
    """Cuts a body, which arrives in chunks, into messages. Holds no more than has arrived and is not yet taken.

    `encoding` is the request's grpc-encoding; `max_bytes` the limit of one message, before and after decompression.
    """

    def __init__(self, encoding: bytes | None, max_bytes: int) -> None:
        self._encoding = encoding
        self._max_bytes = max_bytes
        self._buffer = bytearray()

    def feed(self, chunk: bytes) -> None:
        """Takes what has arrived."""
        self._buffer += chunk

    def take(self) -> bytes | None:
        """The next whole message, or None until more has arrived. Raises CallError for one that cannot be read."""
        buffer = self._buffer
        if len(buffer) < _PREFIX.size:
            return None
        flag, length = _PREFIX.unpack_from(buffer)
        self._check(flag, length)
        end = _PREFIX.size + length
        if len(buffer) < end:
            return None
        with memoryview(buffer) as view:
            message = bytes(view[_PREFIX.size : end])
        del buffer[:end]
        return decompress(message, self._max_bytes) if flag else message

    def check_end(self) -> None:
        """Call when the body has ended. Raises CallError when a message was cut off."""
        if self._buffer:
            raise CallError(Code.INVALID_ARGUMENT, "the request ends in the middle of a message")

    def _check(self, flag: int, length: int) -> None:
        if flag > 1 or (flag == 1 and self._encoding is None):
            raise CallError(Code.INVALID_ARGUMENT, "the request's body is not made of gRPC messages")
        if flag and self._encoding not in ENCODINGS:
            raise CallError(Code.UNIMPLEMENTED, "the request's compression is not known here; use gzip or deflate")
        if length > self._max_bytes:
            raise too_large(length, self._max_bytes)


def read_whole(body: bytes, encoding: bytes | None, max_bytes: int) -> bytes:
    """The only message of a complete body. Raises CallError when there is none, or more than one."""
    # What nearly every unary request is: one plain message that came in one piece.
    if body[:1] == b"\0" and len(body) == _PREFIX.size + int.from_bytes(body[1:5]) <= max_bytes:
        return body[_PREFIX.size :]
    reader = FrameReader(encoding, max_bytes)
    reader.feed(body)
    message = reader.take()
    if message is None:
        reader.check_end()
        raise CallError(Code.UNIMPLEMENTED, "the request holds no message; this method takes exactly one")
    if reader.take() is not None:
        raise CallError(Code.UNIMPLEMENTED, "the request holds several messages; this method takes exactly one")
    reader.check_end()
    return message


def length_of(body: bytes) -> int:
    """The length in bytes that the first message of a body says of itself; 0 where not even that has come."""
    return int.from_bytes(body[1:PREFIX_BYTES]) if len(body) >= PREFIX_BYTES else 0


def decompress(message: bytes, max_bytes: int) -> bytes:
    """Undoes gzip or deflate, and stops at `max_bytes`. Raises CallError when that is too little, or for garbage."""
    inflater = zlib.decompressobj(wbits=_ANY_ZLIB_HEADER)
    try:
        plain = inflater.decompress(message, max_bytes)
    except zlib.error as error:
        raise CallError(Code.INVALID_ARGUMENT, f"the request cannot be decompressed ({error})") from error
    if inflater.unconsumed_tail or (not inflater.eof and len(plain) == max_bytes):
        raise too_large(None, max_bytes)
    if not inflater.eof:
        raise CallError(Code.INVALID_ARGUMENT, "the request cannot be decompressed (it is cut off)")
    return plain


def too_large(length: int | None, max_bytes: int) -> CallError:
    """The failure of a message over the limit; `length` in bytes where it is known."""
    size = "a compressed message" if length is None else f"a message of {length} bytes"
    return CallError(Code.RESOURCE_EXHAUSTED, f"{size} is over the limit of {max_bytes} bytes")
