"""The answers of a call, into ASGI's events. What is the same for every call is made once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
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

# Bytes of answers that wait for Envoy to take the ones before; then their stream waits too.
MAX_WAITING: Final = 64 * 1024

Pairs = Sequence[tuple[str, str]]


async def answer(send: Send, message: bytes, trailing: Pairs) -> None:
    """The only answer of a call, and its end. Of several `send`s only the last is awaited: the others work at once."""
    send(_START)
    send({"type": "http.response.body", "body": frame(message), "more_body": False})
    await _last(send, _trailers(trailing))


async def fail(send: Send, failure: CallError, trailing: Pairs = ()) -> None:
    """The end of a call that failed before anything was sent: headers and nothing else, because only then does a
    client's own retry policy apply."""
    headers = trailers_of(failure.code, failure.message, (*trailing, *failure.trailing_metadata))
    send({"type": "http.response.start", "status": 200, "headers": [*_HEADERS, *headers]})
    await _last(send, _NO_MORE)


def check_size(message: bytes, max_bytes: int) -> None:
    """Raises CallError for an answer that is too large."""
    if len(message) > max_bytes:
        text = f"the answer of {len(message)} bytes is over the limit of {max_bytes} bytes"
        raise CallError(Code.RESOURCE_EXHAUSTED, text)


class StreamResponse:
    """Any number of answers, of `max_bytes` at most each.

    Each piece that Envoy is given takes a round to its thread and back, so answers that come meanwhile wait for it
    together and go out as the next piece.
    """

    __slots__ = ("_max_bytes", "_send", "_sending", "_started", "_waiting")

    def __init__(self, send: Send, max_bytes: int) -> None:
        self._send = send
        self._max_bytes = max_bytes
        self._started = False
        self._waiting = bytearray()
        self._sending: asyncio.Future[None] | None = None

    async def write(self, message: bytes) -> None:
        """One of several answers; returns when there is room for the next. Raises CallError."""
        check_size(message, self._max_bytes)
        self._start()
        self._waiting += frame(message)
        if self._sending is None:
            self._send_waiting()
        while self._sending is not None and len(self._waiting) >= MAX_WAITING:
            await self._sent()

    async def end(self, trailing: Pairs) -> None:
        """The end of a call whose answers are all written. Raises CallError."""
        self._start()
        while self._sending is not None:
            await self._sent()
        self._send(_NO_MORE)
        await _last(self._send, _trailers(trailing))

    async def fail(self, failure: CallError, trailing: Pairs) -> None:
        """The end of a call that failed."""
        if not self._started:
            await fail(self._send, failure, trailing)
            return
        headers = trailers_of(failure.code, failure.message, (*trailing, *failure.trailing_metadata))
        self._send({"type": "http.response.body", "body": self._take_waiting(), "more_body": False})
        await _last(self._send, {"type": "http.response.trailers", "headers": headers})

    def _start(self) -> None:
        if not self._started:
            self._started = True
            self._send(_START)

    def _send_waiting(self) -> None:
        event = {"type": "http.response.body", "body": self._take_waiting(), "more_body": True}
        self._sending = asyncio.ensure_future(self._send(event))
        self._sending.add_done_callback(self._note_sent)

    def _take_waiting(self) -> bytes:
        waiting = bytes(self._waiting)
        self._waiting.clear()
        return waiting

    def _note_sent(self, sending: asyncio.Future[None]) -> None:
        if sending is not self._sending:
            return
        if sending.cancelled() or sending.exception() is not None:
            # Left as it is, for whoever writes next.
            return
        self._sending = None
        if self._waiting:
            self._send_waiting()

    async def _sent(self) -> None:
        """Waits for the piece that is on its way. Raises CallError when its caller has gone."""
        sending = self._sending
        assert sending is not None
        try:
            # Shielded: Envoy's side would stumble over a future that was cancelled before it is filled in.
            await asyncio.shield(sending)
        except OSError:
            raise caller_gone() from None
        # One that is done is not waited for at all, so its own callback may not have had its turn yet, and would
        # never have it if its turn were waited for here again.
        self._note_sent(sending)


async def _last(send: Send, event: Event) -> None:
    # Whose caller has gone has nobody left to be told.
    with suppress(OSError):
        await send(event)


def _trailers(trailing: Pairs) -> Event:
    if not trailing:
        return _OK
    return {"type": "http.response.trailers", "headers": trailers_of(Code.OK, "", trailing)}
