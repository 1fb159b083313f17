"""Keeps web pages from elsewhere out: a browser lets any page send a POST to a server on its reader's own machine."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request

from conveyor_server.http.rest.statuses import HttpError

_FORBIDDEN: Final = 403
# What browsers say of a request's origin, where it is not foreign.
_OWN: Final = frozenset({"same-origin", "none"})


def refuse_foreign_pages(request: Request) -> None:
    """Raises HttpError for a POST that a browser sends for another site's page. Other programs send no origin."""
    if request.method != "POST":
        return
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site is None and origin is not None:
        site = "same-origin" if urlsplit(origin).netloc == request.headers.get("host") else "cross-site"
    if site is not None and site not in _OWN:
        raise HttpError(_FORBIDDEN, "pages of other sites may not use this server; send the request without a page")
