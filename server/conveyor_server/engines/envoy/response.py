"""The answers of a call, into ASGI's events. What is the same for every call is made once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from conveyor_server.calls import CallError
from conveyor_server.engines.envoy.call import Event, Send, caller_gone
from conveyor_server.engines.envoy.framing import frame
from conveyor_server.engines.envoy.metadata import trailers_of
from conveyor_server.statuses import Code

_HEADERS: Final = [(b"content-type", b"application/grpc"), (b"grpc-accept-encoding", b"identity,gzip,deflate")]
_START: Final[Event] = {"type": "http.response.start", "status": 200, "headers": _HEADERS, "trailers": True}
_NO_MORE: Final[Event] = {"type": "http.response.body", "body": b"", "more_body": False}
_OK: Final[Event] = {"type": "http.response.trailers", "headers": trailers_of(Code.OK, "", ())}

Pairs = Sequence[tuple[str, str]]


class Response:
    """Answers of `max_bytes` at most each. Of several `send`s only the last is awaited: the others are done at once."""

    __slots__ = ("_max_bytes", "_send", "_started")

    def __init__(self, send: Send, max_bytes: int) -> None:
        self._send = send
        self._max_bytes = max_bytes
        self._started = False

    async def answer(self, message: bytes, trailing: Pairs) -> None:
        """The only answer, and the end of the call. Raises CallError when it is too large."""
        self._check_size(message)
        self._start()
        self._send({"type": "http.response.body", "body": frame(message), "more_body": False})
        await self._finish(_trailers(trailing))

    async def write(self, message: bytes) -> None:
        """One of several answers; returns when there is room for the next. Raises CallError."""
        self._check_size(message)
        self._start()
        event = {"type": "http.response.body", "body": frame(message), "more_body": True}
        try:
            # Shielded: Envoy's side would stumble over a future that was cancelled before it is filled in.
            await asyncio.shield(self._send(event))
        except OSError:
            raise caller_gone() from None

    async def end(self, trailing: Pairs) -> None:
        """The end of a call whose answers are all written."""
        self._start()
        self._send(_NO_MORE)
        await self._finish(_trailers(trailing))

    async def fail(self, failure: CallError, trailing: Pairs) -> None:
        """The end of a call that failed."""
        headers = trailers_of(failure.code, failure.message, (*trailing, *failure.trailing_metadata))
        if self._started:
            self._send(_NO_MORE)
            await self._finish({"type": "http.response.trailers", "headers": headers})
        else:
            # Headers and nothing else: only then does a client's own retry policy apply.
            self._started = True
            self._send({"type": "http.response.start", "status": 200, "headers": [*_HEADERS, *headers]})
            await self._finish(_NO_MORE)

    def _start(self) -> None:
        if not self._started:
            self._started = True
            self._send(_START)

    async def _finish(self, last: Event) -> None:
        try:
            await self._send(last)
        except OSError:
            # The caller has gone: nobody is left to tell.
            return

    def _check_size(self, message: bytes) -> None:
        if len(message) > self._max_bytes:
            text = f"the answer of {len(message)} bytes is over the limit of {self._max_bytes} bytes"
            raise CallError(Code.RESOURCE_EXHAUSTED, text)


def _trailers(trailing: Pairs) -> Event:
    if not trailing:
        return _OK
    return {"type": "http.response.trailers", "headers": trailers_of(Code.OK, "", trailing)}
