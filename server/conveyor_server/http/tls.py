"""TLS for the HTTP port: the newest certificate for each connection, and the caller's name for the doors."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
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
        # The listener's own; each handshake moves on to the newest one.
        self._first = self._current
        self._first.sni_callback = self._take_newest
        self.watch = FileWatch("certificate of the HTTP port", files.paths, self._reload)

    def for_listener(self, *_: object) -> ssl.SSLContext:
        """What a listener is made with, as uvicorn asks for it."""
        return self._first

    def _take_newest(self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        if self._current is not context:
            connection.context = self._current

    def _reload(self) -> None:
        self._current = server_context(self._files)


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
