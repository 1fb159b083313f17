"""The HTTP application: the routes of every part, and one way to say what went wrong."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.middleware import Middleware

from conveyor_server.http.console.routes import console_routes
from conveyor_server.http.failures import Failures, on_http_error
from conveyor_server.http.health_routes import health_routes
from conveyor_server.http.metrics_routes import metrics_routes
from conveyor_server.http.own_host import OwnHost
from conveyor_server.http.request_ids import RequestIds
from conveyor_server.http.rest.routes import rest_routes
from conveyor_server.http.services import HttpServices


def make_app(services: HttpServices) -> Starlette:
    """Everything that the HTTP port answers. Each part gives a list of routes."""
    routes = [
        *health_routes(services),
        *(metrics_routes(services) if services.settings.metrics else ()),
        *rest_routes(services),
        *console_routes(services),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(RequestIds), Middleware(Failures), Middleware(OwnHost, services=services)],
        exception_handlers={404: on_http_error, 405: on_http_error},
    )
