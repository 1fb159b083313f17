"""The routes of REST, all of them, and the page that describes them."""

from __future__ import annotations

from functools import cache
from importlib import metadata
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from conveyor_server.http.rest.classify_routes import classify_operations
from conveyor_server.http.rest.infer_answer import JSON
from conveyor_server.http.rest.infer_routes import infer_operations
from conveyor_server.http.rest.memory_routes import memory_operations
from conveyor_server.http.rest.messages import text_of
from conveyor_server.http.rest.model_routes import model_operations
from conveyor_server.http.rest.openapi import describe
from conveyor_server.http.rest.operation import Operation, routes_of
from conveyor_server.http.rest.repository_routes import repository_operations
from conveyor_server.http.rest.server_routes import server_operations
from conveyor_server.http.rest.settings_routes import settings_operations
from conveyor_server.http.services import HttpServices

DESCRIPTION_PATH: Final = "/openapi.json"
DISTRIBUTION: Final = "conveyor"


def all_operations() -> list[Operation]:
    """Everything that REST offers, in the order in which paths are tried."""
    return [
        *classify_operations(),
        *model_operations(),
        *server_operations(),
        *infer_operations(),
        *repository_operations(),
        *memory_operations(),
        *settings_operations(),
    ]


def rest_routes(services: HttpServices) -> list[Route]:
    """A route for each path, and one for the description."""
    operations = all_operations()

    @cache
    def described() -> bytes:
        return text_of(describe(operations, metadata.version(DISTRIBUTION)))

    async def description(request: Request) -> Response:
        return Response(described(), media_type=JSON)

    return [Route(DESCRIPTION_PATH, description), *routes_of(operations, services)]
