"""A call as its handler sees it, made from an HTTP request; and how the call ends when its caller has gone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from typing import Any, Final

from starlette.requests import Request

from conveyor_server.calls import CallError
from conveyor_server.engines import CERTIFICATE_NAME
from conveyor_server.engines.envoy.metadata import decode_metadata, name_of_peer, parse_timeout
from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.shortening import shortened
from conveyor_server.statuses import Code

TIMEOUT_MS: Final = b"conveyor-timeout-ms"
GRPC_TIMEOUT: Final = b"grpc-timeout"
# Seconds that a handler has to notice its deadline itself: it can say better where the time went.
DEADLINE_GRACE: Final = 0.01

_MAX_DIGITS: Final = 9
_DISCONNECT: Final = "http.disconnect"


class HttpContext:
    """The CallContext of one HTTP request."""

    def __init__(self, request: Request) -> None:
        """Raises CallError or ServingError for a deadline that cannot be read."""
        self._request = request
        # Of a repeated header the last one.
        self._headers: Mapping[bytes, bytes] = dict(request.scope["headers"])
        # Seconds of `time.monotonic()`, or None.
        self.deadline = _deadline(self._headers)
        # Become headers of the answer.
        self.trailing: dict[str, str] = {}

    @property
    def peer(self) -> str:
        """The caller's address, in gRPC's notation."""
        return name_of_peer(self._request.scope.get("client"))

    @property
    def certificate_name(self) -> str | None:
        """Whom the caller's certificate names, once it is verified."""
        name: str | None = self._request.scope.get(CERTIFICATE_NAME)
        return name

    @property
    def metadata(self) -> Mapping[str, str | bytes]:
        """The request's headers, without those of the transport."""
        return decode_metadata(self._headers)

    def add_trailing_metadata(self, key: str, value: str) -> None:
        """Adds a header to the answer."""
        self.trailing[key] = value

    async def carry(self, answer: Coroutine[Any, Any, bytes]) -> bytes:
        """Waits for the answer. Raises CallError past the deadline, or once the caller has gone: the work is ended."""
        work = asyncio.ensure_future(answer)
        gone = asyncio.ensure_future(_until_gone(self._request))
        try:
            await asyncio.wait({work, gone}, timeout=self._remaining(), return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return work.result()
            if gone.done():
                raise CallError(Code.CANCELLED, "the caller has gone")
            raise CallError(Code.DEADLINE_EXCEEDED, "the deadline passed before there was an answer")
        finally:
            gone.cancel()
            if not work.done():
                work.cancel()
                with suppress(CallError, asyncio.CancelledError):
                    await work

    def _remaining(self) -> float | None:
        return None if self.deadline is None else max(0.0, self.deadline + DEADLINE_GRACE - time.monotonic())


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != _DISCONNECT:
        pass


def _deadline(headers: Mapping[bytes, bytes]) -> float | None:
    seconds = []
    if (milliseconds := headers.get(TIMEOUT_MS)) is not None:
        if not milliseconds.isdigit() or len(milliseconds) > _MAX_DIGITS:
            given = shortened(milliseconds.decode("latin-1"))
            words = f"the header Conveyor-Timeout-Ms is {given!r}; expected milliseconds, as 250"
            raise ServingError(ErrorKind.INVALID_ARGUMENT, words)
        seconds.append(int(milliseconds) / 1000)
    if (timeout := headers.get(GRPC_TIMEOUT)) is not None:
        seconds.append(parse_timeout(timeout))
    return time.monotonic() + min(seconds) if seconds else None
