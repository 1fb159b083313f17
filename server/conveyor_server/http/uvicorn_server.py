"""uvicorn's protocol inside the server's own event loop, without its process, signals or ticks."""

from __future__ import annotations

import asyncio
import socket
from functools import partial
from typing import Final

import uvicorn

from conveyor_server.engines import HttpApplication
from conveyor_server.http.patience import PatientProtocol
from conveyor_server.http.tls import HttpCertificates
from conveyor_server.listening import Listening

# Seconds that an idle connection is kept for the caller's next request.
KEEP_ALIVE: Final = 15


class UvicornServer:
    """Serves one application behind one socket."""

    def __init__(self, application: HttpApplication, listening: Listening, backlog: int) -> None:
        """Raises StartError for TLS files that cannot be used."""
        self._certificates = None if listening.tls is None else HttpCertificates(listening.tls)
        self._watching: asyncio.Task[None] | None = None
        config = uvicorn.Config(
            application,
            http=partial(  # type: ignore[arg-type]  # all that is done with it is to make a protocol
                PatientProtocol,
                max_connections=listening.max_connections,
                max_read_seconds=listening.max_read_seconds,
            ),
            ws="none",
            lifespan="off",
            # Our own log says what there is to say.
            log_config=None,
            # What callers send wrong would fill it.
            log_level="error",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            # Else a clock ticks in the loop.
            date_header=False,
            backlog=backlog,
            timeout_keep_alive=KEEP_ALIVE,
            ssl_context_factory=None if self._certificates is None else self._certificates.for_listener,
        )
        config.load()
        self._server = uvicorn.Server(config)
        self._server.lifespan = config.lifespan_class(config)

    async def start(self, listener: socket.socket) -> None:
        """Takes connections, those that wait first."""
        if self._certificates is not None:
            self._watching = asyncio.create_task(self._certificates.watch.run())
        await self._server.startup(sockets=[listener])

    def close(self) -> None:
        """Takes no more connections."""
        if self._watching is not None:
            self._watching.cancel()
        for listener in self._server.servers:
            listener.close()

    async def end(self, grace: float) -> None:
        """Gives requests in progress `grace` seconds, then cuts them."""
        state = self._server.server_state
        # Ends the idle ones now, the others with their answer.
        for connection in list(state.connections):
            connection.shutdown()
        if tasks := list(state.tasks):
            _, late = await asyncio.wait(tasks, timeout=grace)
            for task in late:
                task.cancel()
