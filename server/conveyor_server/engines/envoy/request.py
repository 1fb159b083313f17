"""The requests of a stream, out of ASGI's events. Who does not read is not read from, up to the windows of HTTP/2."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from conveyor_server.calls import CallError
from conveyor_server.engines.envoy.call import DISCONNECT, Call, Event, Receive, caller_gone
from conveyor_server.engines.envoy.framing import FrameReader
from conveyor_server.statuses import Code


class RequestBody:
    """The parts of a request, one asked for ahead: so a caller's leaving is noticed while the handler works."""

    def __init__(self, receive: Receive, call: Call) -> None:
        self._receive = receive
        self._call = call
        self._next = self._ask()

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yields bytes until the request is complete. Raises CallError when the caller goes before."""
        more = True
        while more:
            # Shielded: Envoy's side would stumble over a future that was cancelled before it is filled in.
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
        event.add_done_callback(self._call.see)
        return event


async def messages(body: RequestBody, frames: FrameReader) -> AsyncGenerator[bytes, None]:
    """The messages of a request as they arrive. Raises CallError for one that cannot be read."""
    async for chunk in body.chunks():
        frames.feed(chunk)
        while (message := frames.take()) is not None:
            yield message
    frames.check_end()


async def only_message(body: RequestBody, frames: FrameReader) -> bytes:
    """The message of a request that must hold exactly one. Raises CallError when it does not."""
    only: bytes | None = None
    async for message in messages(body, frames):
        if only is not None:
            raise CallError(Code.UNIMPLEMENTED, "the request holds several messages; this method takes exactly one")
        only = message
    if only is None:
        raise CallError(Code.UNIMPLEMENTED, "the request holds no message; this method takes exactly one")
    return only
