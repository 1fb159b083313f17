"""The HTTP port: uvicorn's protocol inside the server's own event loop, without its process, signals or ticks."""

from __future__ import annotations

import asyncio
import socket
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from conveyor_server.http.tls import HttpCertificates, NamingProtocol
from conveyor_server.listening import Listening, address_in_words, listening_socket

# Connections that may wait to be taken.
BACKLOG: Final = 512
# Seconds that an idle connection is kept for the caller's next request.
KEEP_ALIVE: Final = 15


class HttpPort:
    """Serves one application on one port."""

    def __init__(self, application: ASGIApp, listening: Listening) -> None:
        self._listening = listening
        self._socket: socket.socket | None = None
        self._certificates = None if listening.tls is None else HttpCertificates(listening.tls)
        self._watching: asyncio.Task[None] | None = None
        config = uvicorn.Config(
            application,
            http=NamingProtocol,
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
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE,
            limit_concurrency=listening.max_connections,
            ssl_context_factory=None if self._certificates is None else self._certificates.for_listener,
        )
        config.load()
        self._server = uvicorn.Server(config)
        self._server.lifespan = config.lifespan_class(config)

    async def start(self) -> str:
        """Opens the port; returns its address, host:port. Raises StartError when it is taken."""
        self._socket = listening_socket(self._listening)
        if self._certificates is not None:
            self._watching = asyncio.create_task(self._certificates.watch.run())
        await self._server.startup(sockets=[self._socket])
        return address_in_words(self._listening.host, self._socket.getsockname()[1])

    async def stop(self, grace: float) -> None:
        """Closes the port, gives requests in progress `grace` seconds, then cuts them."""
        if self._socket is None:
            return
        if self._watching is not None:
            self._watching.cancel()
        for listener in self._server.servers:
            listener.close()
        self._socket.close()
        state = self._server.server_state
        # Ends the idle ones now, the others with their answer.
        for connection in list(state.connections):
            connection.shutdown()
        if tasks := list(state.tasks):
            _, late = await asyncio.wait(tasks, timeout=grace)
            for task in late:
                task.cancel()
