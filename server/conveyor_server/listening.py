"""Where a server listens, and whether it can."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass

from conveyor_server.errors import StartError


@dataclass(frozen=True, kw_only=True)
class Listening:
    """Where to listen, and how large a message may be. `shared` when other processes listen there too."""

    host: str
    port: int
    max_message_bytes: int
    shared: bool = False


def ensure_free(host: str, port: int) -> None:
    """Raises StartError, with the reason, when nobody could listen there now."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            # As servers do: connections that linger from an earlier one are no obstacle.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        # asyncio's loops and the resolver put their own words around the system's.
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error.strerror)
        raise StartError(
            f"cannot listen on {host}, port {port}: {reason.lower()}; "
            "choose another with --host and --port (port 0 takes a free one)."
        ) from error


def hold_port(host: str, port: int) -> socket.socket:
    """A socket that keeps the port for processes that share it. Raises StartError when it is taken.

    It never listens, so no connection comes to it; without it a free port could be lost before they have it.
    """
    ensure_free(host, port)
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    held = socket.socket(family, kind, protocol)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    held.bind(address)
    return held
