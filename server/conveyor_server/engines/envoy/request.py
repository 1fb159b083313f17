"""The requests of a call, out of ASGI's events. Who does not read is not read from, up to the windows of HTTP/2."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from conveyor_server.engines.envoy.call import DISCONNECT, Call, Event, Receive, caller_gone
from conveyor_server.engines.envoy.framing import PREFIX_BYTES, FrameReader, length_of, too_large


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


async def rest_of_body(start: bytes, receive: Receive, max_bytes: int) -> bytes:
    """The whole body of a request that must hold one message. Raises CallError when it is too large, or its caller
    goes before it is complete."""
    pieces, size, more = [start], len(start), True
    while more:
        length = max(length_of(start), size - PREFIX_BYTES)
        if length > max_bytes:
            raise too_large(length, max_bytes)
        # Shielded: Envoy's side would stumble over a future that was cancelled before it is filled in.
        event = await asyncio.shield(receive())
        if event["type"] == DISCONNECT:
            raise caller_gone()
        piece = event.get("body", b"")
        pieces.append(piece)
        size += len(piece)
        more = event.get("more_body", False)
    return b"".join(pieces)
