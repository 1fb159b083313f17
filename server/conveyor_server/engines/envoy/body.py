"""The two directions of a stream: requests out of ASGI's events, and answers into them. Nothing is held without bound:
who does not read is not read from, up to the windows of HTTP/2.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from typing import Final

from conveyor_server.calls import CallFailure
from conveyor_server.engines.envoy.call import DISCONNECT, Call, Event, Receive, Send, caller_gone
from conveyor_server.engines.envoy.framing import FrameReader, frame
from conveyor_server.engines.envoy.metadata import Header, trailers_of
from conveyor_server.statuses import Code

# Made once: these are the same for every call.
START: Final[Event] = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/grpc"), (b"grpc-accept-encoding", b"identity,gzip,deflate")],
    "trailers": True,
}
END: Final[Event] = {"type": "http.response.body", "body": b"", "more_body": False}
TRAILERS_OK: Final[Event] = {"type": "http.response.trailers", "headers": trailers_of(Code.OK, "", ())}


class RequestBody:
    """The parts of a request, one asked for ahead: so a caller's leaving is noticed while the handler works."""

    def __init__(self, receive: Receive, call: Call) -> None:
        self._receive = receive
        self._call = call
        self._next = self._ask()

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yields bytes until the request is complete. Raises CallFailure when the caller goes before."""
        more = True
        while more:
            # Shielded: cancelling an event that Envoy will fill in would make it stumble.
            event = await asyncio.shield(self._next)
            if event["type"] == DISCONNECT:
                raise caller_gone()
            more = event.get("more_body", False)
            if more:
                self._next = self._ask()
            else:
                self._call.request_complete(self._receive)
            yield event.get("body", b"")

    def _ask(self) -> asyncio.Future[Event]:
        event = asyncio.ensure_future(self._receive())
        event.add_done_callback(self._look)
        return event

    def _look(self, event: asyncio.Future[Event]) -> None:
        if not event.cancelled() and event.result()["type"] == DISCONNECT:
            self._call.cut(caller_gone())


async def messages(body: RequestBody, frames: FrameReader) -> AsyncGenerator[bytes, None]:
    """The messages of a request as they arrive. Raises CallFailure for one that cannot be read."""
    async for chunk in body.chunks():
        frames.feed(chunk)
        while (message := frames.take()) is not None:
            yield message
    frames.check_end()


class Response:
    """The answers of one call. Begins with the first one, and ends with how the call ended."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._started = False

    async def write(self, message: bytes) -> None:
        """Sends one of several messages; returns when Envoy has room for the next. Raises CallFailure: caller gone."""
        self._start()
        sent = asyncio.ensure_future(
            self._send({"type": "http.response.body", "body": frame(message), "more_body": True})
        )
        try:
            await asyncio.shield(sent)
        except OSError:
            raise caller_gone() from None

    async def finish(self, event: Event) -> None:
        """Ends the call with trailers. Does nothing when the caller has gone."""
        self._start()
        # Only the last is awaited: the others are done when they return.
        self._send(END)
        await self._end(event)

    def _start(self) -> None:
        if not self._started:
            self._started = True
            self._send(START)


