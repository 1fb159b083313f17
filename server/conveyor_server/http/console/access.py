"""Whether there is a console at all, and which requests it answers."""

from __future__ import annotations

from starlette.requests import Request

from conveyor_server.groups import Group
from conveyor_server.http.console.protection import OWN_HEADER, host_of
from conveyor_server.http.rest.foreign_pages import refuse_foreign_pages
from conveyor_server.http.rest.statuses import HttpError
from conveyor_server.http.services import HttpServices
from conveyor_server.listening import is_loopback

_FORBIDDEN = 403


def why_off(services: HttpServices) -> str | None:
    """Why the server has no console, for a person; None where it has one."""
    settings = services.settings
    if not settings.console:
        return "the console is switched off (--no-console)"
    if knows_callers(services) or is_loopback(settings.http_host or settings.host):
        return None
    return (
        "the console is off, because other machines reach this port and no token is set; "
        "set one with --inference-token-file, or listen on 127.0.0.1"
    )


def knows_callers(services: HttpServices) -> bool:
    """Whether callers must show a token, or a certificate, before a model answers."""
    settings = services.settings
    by_certificate = settings.tls_client_ca is not None and settings.http_tls == "same"
    return by_certificate or Group.INFERENCE in services.doors.tokens.closed


def check_request(request: Request, services: HttpServices) -> None:
    """Raises HttpError for a request that the console's own page cannot have made."""
    if not knows_callers(services) and not is_loopback(host_of(request)):
        # A name that was made to point here, so that another site's page may ask.
        raise HttpError(_FORBIDDEN, "without a token the console answers only as localhost; open it under that name")
    if request.method != "GET" and OWN_HEADER not in request.headers:
        raise HttpError(_FORBIDDEN, f"only the console's own page asks here; it sends the header {OWN_HEADER}")
    refuse_foreign_pages(request)
