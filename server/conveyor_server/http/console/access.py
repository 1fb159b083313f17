"""Whether there is a console at all, and which requests it answers."""

from __future__ import annotations

from starlette.requests import Request

from conveyor_server.http.console.protection import OWN_HEADER
from conveyor_server.http.own_host import is_local, knows_callers
from conveyor_server.http.rest.foreign_pages import refuse_foreign_pages
from conveyor_server.http.rest.statuses import HttpError
from conveyor_server.http.services import HttpServices

_FORBIDDEN = 403


def why_off(services: HttpServices) -> str | None:
    """Why the server has no console, for a person; None where it has one."""
    settings = services.settings
    if not settings.console:
        return "the console is switched off (--no-console)"
    if knows_callers(services) or is_local(services):
        return None
    return (
        "the console is off, because other machines reach this port and no token is set; "
        "set one with --inference-token-file, or listen on 127.0.0.1"
    )


def check_request(request: Request) -> None:
    """Raises HttpError for a request that the console's own page cannot have made."""
    if request.method != "GET" and OWN_HEADER not in request.headers:
        raise HttpError(_FORBIDDEN, f"only the console's own page asks here; it sends the header {OWN_HEADER}")
    refuse_foreign_pages(request)
