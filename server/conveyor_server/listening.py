"""Where a server listens, and whether it can."""

from __future__ import annotations

import ipaddress
import os
import resource
import socket
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from conveyor_server.doors.certificates import TlsFiles, grpc_tls, http_tls
from conveyor_server.errors import StartError

if TYPE_CHECKING:
    from conveyor_server.settings import ServerSettings

# File descriptors kept for everything that is not a connection.
SPARE_DESCRIPTORS: Final = 512


@dataclass(frozen=True, kw_only=True)
class Listening:
    """Where to listen, and what is let in. `shared` when other processes listen there too."""

    host: str
    port: int
    max_message_bytes: int
    shared: bool = False
    # None for a plain port.
    tls: TlsFiles | None = None
    # As TLS negotiates them, the best first.
    protocols: Sequence[str] = ("h2",)
    # Calls at a time on one connection, and connections at a time.
    max_concurrent_streams: int = 10_000
    max_connections: int = 50_000
    # Seconds for the headers of a request over HTTP.
    max_read_seconds: float = 30.0


def grpc_listening(settings: ServerSettings, *, shared: bool) -> Listening:
    """The gRPC port. Raises StartError for TLS files that do not go together."""
    return Listening(
        host=settings.host,
        port=settings.port,
        max_message_bytes=settings.max_message_bytes,
        shared=shared,
        tls=grpc_tls(settings),
        protocols=("h2", "http/1.1") if is_one_port(settings) else ("h2",),
        max_concurrent_streams=settings.max_concurrent_streams,
        max_connections=_possible_connections(settings),
        max_read_seconds=settings.max_read_seconds,
    )


def http_listening(settings: ServerSettings, *, shared: bool) -> Listening:
    """The HTTP port. Raises StartError for TLS files that do not go together."""
    grpc = grpc_listening(settings, shared=shared)
    return replace(grpc, host=settings.http_host or settings.host, port=settings.http_port, tls=http_tls(settings))


def _possible_connections(settings: ServerSettings) -> int:
    """On each port, so many that there are file descriptors for those of both, and for everything else."""
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if descriptors == resource.RLIM_INFINITY:
        return settings.max_connections
    ports = 2 if settings.http and not is_one_port(settings) else 1
    return max(1, min(settings.max_connections, (descriptors - SPARE_DESCRIPTORS) // ports))


def is_one_port(settings: ServerSettings) -> bool:
    """Whether HTTP is asked for on gRPC's port. Raises StartError for settings that would need two."""
    same_port = settings.http_port == settings.port != 0
    if not (settings.http and same_port and settings.http_host in ("", settings.host)):
        return False
    if settings.tls_certificate is not None and settings.http_tls != "same":
        raise StartError(
            f"on one port HTTP has the same TLS as gRPC; leave --http-tls {settings.http_tls} out, or give HTTP "
            "another port with --http-port."
        )
    return True


GRPC_ADVICE: Final = "choose another with --host and --port (port 0 takes a free one)"
HTTP_ADVICE: Final = "choose another with --http-host and --http-port (port 0 takes a free one), or none with --no-http"


def address_in_words(host: str, port: int) -> str:
    """host:port, as it is written in addresses."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine reach the address. A name other than localhost may lead anywhere."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def ensure_free(host: str, port: int, advice: str = GRPC_ADVICE) -> None:
    """Raises StartError, with the reason and the advice, when nobody could listen there now."""
    _bound(host, port, advice, shared=False).close()


def hold_port(host: str, port: int, advice: str = GRPC_ADVICE) -> socket.socket:
    """A socket that keeps the port for processes that share it. Raises StartError when it is taken.

    It never listens, so no connection comes to it; without it a free port could be lost before they have it.
    """
    ensure_free(host, port, advice)
    return _bound(host, port, advice, shared=True)


def listening_socket(listening: Listening, advice: str = HTTP_ADVICE) -> socket.socket:
    """A socket to listen on, of this process's own. Raises StartError when the port is taken."""
    return _bound(listening.host, listening.port, advice, shared=listening.shared)


def _bound(host: str, port: int, advice: str, *, shared: bool) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
        try:
            # As servers do: connections that linger from an earlier one are no obstacle.
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(shared))
            bound.bind(address)
        except BaseException:
            bound.close()
            raise
    except OSError as error:
        # asyncio's loops and the resolver put their own words around the system's.
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error.strerror)
        raise StartError(f"cannot listen on {host}, port {port}: {reason.lower()}; {advice}.") from error
    return bound
