"""One operation of the REST interface: how it is asked for, what answers, and what the OpenAPI page says of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from google.protobuf.message import Message
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from conveyor_server.calls import CallError
from conveyor_server.errors import ServingError
from conveyor_server.http.rest.bodies import NoQuery, Query
from conveyor_server.http.rest.exchange import Exchange, Procedure
from conveyor_server.http.rest.foreign_pages import refuse_foreign_pages
from conveyor_server.http.rest.infer_answer import JSON
from conveyor_server.http.rest.messages import text_of
from conveyor_server.http.rest.statuses import HttpError, failed
from conveyor_server.http.services import HttpServices

Schema = Mapping[str, Any]
# Media types, each with the schema of what it holds.
Content = Mapping[str, Schema]
Handler = Callable[[Exchange], Awaitable[Response]]


@dataclass(frozen=True, kw_only=True)
class Operation:
    """A method on a path. Parameters in the path are in braces, as Starlette and OpenAPI have them."""

    verb: Literal["GET", "POST"]
    path: str
    # Unique, and a Python name.
    name: str
    summary: str
    # What answers in the end; who may not ask it is sent away before the body is read.
    procedure: Procedure[Message]
    handler: Handler
    # Of the answer with status 200.
    answer: Content
    query: type[Query] = NoQuery
    # A JSON body; one that may be left out.
    body: type[BaseModel] | None = None
    # Bodies that are not JSON.
    other_bodies: Content = field(default_factory=dict)
    # Headers that it reads, each with what it means.
    headers: Mapping[str, str] = field(default_factory=dict)
    # An answer that is no error, but has another status than 200.
    also: Mapping[int, str] = field(default_factory=dict)


def for_each_version(operation: Operation) -> list[Operation]:
    """The operation on a model, and the same on one of its versions."""
    head, _, tail = operation.path.partition("/{model_name}")
    versioned = f"{head}/{{model_name}}/versions/{{model_version}}{tail}"
    return [operation, replace(operation, path=versioned, name=f"{operation.name}_of_version")]


def json_content(schema: Schema) -> Content:
    """An answer that is JSON."""
    return {JSON: schema}


def json_response(content: Mapping[str, Any] | list[Any], status: int = 200) -> Response:
    """JSON, with NaN and Infinity where there are such values."""
    return Response(text_of(content), status, media_type=JSON)


def routes_of(operations: Iterable[Operation], services: HttpServices) -> list[Route]:
    """A route for each path, which knows all of its methods."""
    by_path: dict[str, dict[str, Operation]] = {}
    for operation in operations:
        by_path.setdefault(operation.path, {})[operation.verb] = operation
    return [Route(path, _endpoint(by_verb, services), methods=list(by_verb)) for path, by_verb in by_path.items()]


def _endpoint(by_verb: Mapping[str, Operation], services: HttpServices) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        # HEAD is a GET whose body nobody sends.
        operation = by_verb.get(request.method) or by_verb["GET"]
        try:
            refuse_foreign_pages(request)
            exchange = Exchange(request, services)
        except (CallError, ServingError, HttpError) as error:
            return failed(error)
        response = await _respond(operation, exchange)
        response.headers.update(exchange.answer_headers)
        return response

    return answer


async def _respond(operation: Operation, exchange: Exchange) -> Response:
    try:
        exchange.knock(operation.procedure)
        if operation.query is NoQuery:
            exchange.query(NoQuery)
        return await operation.handler(exchange)
    except (CallError, ServingError, HttpError) as error:
        return failed(error)
