"""An HTTP port of its own: a socket that listens from the start, and uvicorn behind it once there is an application."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final

from conveyor_server.engines import HttpApplication
from conveyor_server.listening import Listening, address_in_words, listening_socket

if TYPE_CHECKING:
    from conveyor_server.http.uvicorn_server import UvicornServer

# Connections that may wait to be taken.
BACKLOG: Final = 512


class OwnPort:
    """Serves one application on one port."""

    def __init__(self, listening: Listening) -> None:
        """Opens the port; who connects waits. Raises StartError when it is taken."""
        self._listening = listening
        self._socket: socket.socket | None = listening_socket(listening)
        self._socket.listen(BACKLOG)
        self._server: UvicornServer | None = None
        self.address = address_in_words(listening.host, self._socket.getsockname()[1])

    async def open(self, application: HttpApplication) -> None:
        """From now on requests are answered. Raises StartError for TLS files that cannot be used."""
        # Heavy.
        from conveyor_server.http.uvicorn_server import UvicornServer

        assert self._socket is not None
        self._server = UvicornServer(application, self._listening, BACKLOG)
        await self._server.start(self._socket)

    async def stop(self, grace: float) -> None:
        """Closes the port, gives requests in progress `grace` seconds, then cuts them."""
        if self._server is not None:
            self._server.close()
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._server is not None:
            await self._server.end(grace)
