"""gzip and deflate (which is zlib's form, as HTTP says), both ways; nothing grows past a limit."""

from __future__ import annotations

import asyncio
import re
import zlib
from typing import Final

from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.http.rest.statuses import TOO_LARGE, WRONG_FORM, HttpError
from conveyor_server.shortening import shortened

IDENTITY: Final = "identity"
# What zlib calls the forms.
_WINDOW_BITS: Final = {"gzip": 31, "deflate": 15}
# Bytes below which an answer is sent as it is: it would hardly be smaller.
_WORTH_IT: Final = 1024
# Bytes above which a thread does the work, so that others do not wait for it.
_LARGE: Final = 128 * 1024
# Answers are made once and read once: quickly is better than small.
_LEVEL: Final = 1
_NOT_WANTED: Final = re.compile(r"q\s*=\s*0(\.0*)?")


async def inflate(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """A request's body as it was before its Content-Encoding. Raises HttpError over `max_bytes`, or ServingError."""
    encoding = encoding.strip().lower()
    if encoding in ("", IDENTITY):
        return body
    if encoding not in _WINDOW_BITS:
        raise HttpError(
            WRONG_FORM, f"the Content-Encoding {shortened(encoding)!r} is not read; send gzip, deflate or neither"
        )
    if len(body) > _LARGE:
        return await asyncio.to_thread(_inflate, body, encoding, max_bytes)
    return _inflate(body, encoding, max_bytes)


async def deflate(body: bytes, accepted: str) -> tuple[bytes, str]:
    """An answer's body, smaller where the caller's Accept-Encoding lets it be, and its Content-Encoding."""
    encoding = _choose(accepted)
    if encoding == IDENTITY or len(body) < _WORTH_IT:
        return body, IDENTITY
    if len(body) > _LARGE:
        return await asyncio.to_thread(_deflate, body, encoding), encoding
    return _deflate(body, encoding), encoding


def _choose(accepted: str) -> str:
    for entry in accepted.lower().split(","):
        name, _, weight = entry.partition(";")
        if name.strip() in _WINDOW_BITS and not _NOT_WANTED.fullmatch(weight.strip()):
            return name.strip()
    return IDENTITY


def _inflate(body: bytes, encoding: str, max_bytes: int) -> bytes:
    reader = zlib.decompressobj(_WINDOW_BITS[encoding])
    try:
        inflated = reader.decompress(body, max_bytes + 1)
    except zlib.error as error:
        raise ServingError(
            ErrorKind.INVALID_ARGUMENT, f"the body is not {encoding}, as its Content-Encoding says"
        ) from error
    if len(inflated) > max_bytes:
        raise HttpError(TOO_LARGE, f"the body unpacks to more than {max_bytes} bytes, this server's limit")
    if not reader.eof or reader.unused_data:
        raise ServingError(ErrorKind.INVALID_ARGUMENT, f"the {encoding} of the body does not end where the body ends")
    return inflated


def _deflate(body: bytes, encoding: str) -> bytes:
    writer = zlib.compressobj(_LEVEL, wbits=_WINDOW_BITS[encoding])
    return writer.compress(body) + writer.flush()
