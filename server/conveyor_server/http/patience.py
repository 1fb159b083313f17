"""uvicorn's protocol for callers who take up a connection and do not use it: each has its end, and there is a limit."""

from __future__ import annotations

import asyncio
from typing import Any

from conveyor_server.http.tls import NamingProtocol


class PatientProtocol(NamingProtocol):
    """Waits so long for a request's headers, however they come in, and lets in so many connections.

    uvicorn has a timer between two requests only, which the first byte stops. The body is waited for by whoever reads
    it; what is left of one that nobody read has to be there in the same time as the next headers.
    """

    def __init__(self, *arguments: Any, max_connections: int, max_read_seconds: float, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._max_connections = max_connections
        self._max_read_seconds = max_read_seconds
        # There while no request is being answered.
        self._end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Closes what is one too many."""
        super().connection_made(transport)
        if len(self.connections) > self._max_connections:
            transport.abort()
        else:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Waits no more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """What has come may have been the headers' end."""
        super().handle_events()
        if self.cycle is not None and not self.cycle.response_complete:  # type: ignore[redundant-expr]  # before the first
            self._stop_waiting()

    def on_response_complete(self) -> None:
        """From now on the next request is waited for; uvicorn looks here whether it has come already."""
        self._stop_waiting()
        self._wait()
        super().on_response_complete()

    def _wait(self) -> None:
        self._end = self.loop.call_later(self._max_read_seconds, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._end is not None:
            self._end.cancel()
            self._end = None
