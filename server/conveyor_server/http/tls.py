"""TLS for the HTTP port: the newest certificate for each connection, and the caller's name for the doors."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import Callable
from typing import Any, Final

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from conveyor_server.doors.certificates import TlsFiles, server_context
from conveyor_server.doors.file_watch import FileWatch
from conveyor_server.engines import CERTIFICATE_NAME

# Kinds of names in a certificate, the best first, as gRPC's engines take them.
_ALTERNATIVES: Final = ("URI", "DNS")


class HttpCertificates:
    """The certificate in use. `watch` has it replaced when its files change."""

    def __init__(self, files: TlsFiles) -> None:
        """Raises StartError for files that cannot be used."""
        self._files = files
        self._current = server_context(files)
        self._listeners = _Newest(lambda: self._current)
        self.watch = FileWatch("certificate of the HTTP port", files.paths, self._reload)

    def for_listener(self, *_: object) -> ssl.SSLContext:
        """What a listener is made with, as uvicorn asks for it."""
        return self._listeners

    def _reload(self) -> None:
        self._current = server_context(self._files)


class _Newest(ssl.SSLContext):
    """Stands for the newest context, in which each connection begins.

    To move a connection on in its handshake would be too late: a session that is taken up again belongs to the context
    in which its connection began, and nobody looks at its caller's certificate again.
    """

    _newest: Callable[[], ssl.SSLContext]

    def __new__(cls, newest: Callable[[], ssl.SSLContext]) -> _Newest:
        made = super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)
        made._newest = newest
        return made

    def wrap_bio(self, *arguments: Any, **options: Any) -> ssl.SSLObject:
        """What asyncio's loops begin a connection with."""
        return self._newest().wrap_bio(*arguments, **options)


class NamingProtocol(H11Protocol):
    """uvicorn's protocol, which tells the application whom the caller's verified certificate names."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Asks TLS once for each connection."""
        super().connection_made(transport)
        connection = transport.get_extra_info("ssl_object")
        if connection is not None and (der := connection.getpeercert(binary_form=True)):
            self.app = _named(self.app, _name_in(connection.getpeercert(), der))


def _named(app: ASGIApp, name: str) -> ASGIApp:
    async def named(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, CERTIFICATE_NAME: name}, receive, send)

    return named


def _name_in(certificate: dict[str, Any], der: bytes) -> str:
    alternatives = certificate.get("subjectAltName", ())
    for kind in _ALTERNATIVES:
        for found, name in alternatives:
            if found == kind:
                return str(name)
    subject = {key: value for part in certificate.get("subject", ()) for key, value in part}
    return str(subject.get("commonName") or hashlib.sha256(der).hexdigest())
