"""Keeps pages of other sites from a server of this machine's own programs: DNS may have any name lead here.

To the reader's browser such a page and the server are then of one site. Who reaches the server by the machine's own
name or address is no such page.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from conveyor_server.groups import Group
from conveyor_server.http.failures import failure
from conveyor_server.http.services import HttpServices
from conveyor_server.listening import is_loopback

# Health is for everybody: probes ask by whatever name they know.
OPEN: Final = ("/healthz", "/v2/health/")

_FORBIDDEN: Final = 403
_SENTENCE: Final = "without a token this server answers only as localhost; ask it under that name"


def is_local(services: HttpServices) -> bool:
    """Whether only programs of this machine reach the port."""
    settings = services.settings
    return is_loopback(settings.http_host or settings.host)


def knows_callers(services: HttpServices) -> bool:
    """Whether callers must show a token, or a certificate, before a model answers."""
    settings = services.settings
    by_certificate = settings.tls_client_ca is not None and settings.http_tls == "same"
    return by_certificate or Group.INFERENCE in services.doors.tokens.closed


class OwnHost:
    """Around everything, where a server is local and knows no callers: only what asks this machine by name gets in."""

    def __init__(self, app: ASGIApp, services: HttpServices) -> None:
        self._app = app
        self._is_needed = is_local(services) and not knows_callers(services)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers 403 to a request for another host."""
        if self._is_needed and not scope["path"].startswith(OPEN) and not is_loopback(_host_in(scope)):
            await failure(_FORBIDDEN, _SENTENCE)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _host_in(scope: Scope) -> str:
    """What the caller's browser believes it talks to, in small letters, without port and brackets."""
    try:
        return urlsplit(f"//{Headers(scope=scope).get('host', '')}").hostname or ""
    except ValueError:
        return ""
