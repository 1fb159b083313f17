"""The OpenAPI description, made from the operations themselves: what is served is what is described."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from conveyor_server.http.rest.infer_answer import JSON
from conveyor_server.http.rest.operation import Content, Operation
from conveyor_server.http.rest.schemas import TEXT, record

OPENAPI: Final = "3.1.0"
TITLE: Final = "Conveyor"

_SCHEMA_PLACE: Final = "#/components/schemas/{model}"
_FAILURE: Final = {"$ref": "#/components/responses/Failure"}
# A parameter of a path, and Starlette's word for what it takes.
_PATH_PARAMETER: Final = re.compile(r"\{(\w+)(:\w+)?\}")
_DESCRIPTION: Final = (
    "The Open Inference Protocol with Triton's extensions, and image classification. Every operation is a method of "
    "the gRPC interface: the same queues, limits, errors and sentences."
)

Json = dict[str, Any]
_NAME: Final = {"type": "string", "minLength": 1}
_IN_PATH: Final = {"model_version": {"type": "string", "pattern": "^[1-9][0-9]*$"}}
_LENGTH: Final = {"type": "integer", "minimum": 0}


def describe(operations: Iterable[Operation], version: str) -> Json:
    """The description of the operations, for a server of this version."""
    paths: dict[str, Json] = {}
    components: Json = {}
    for operation in operations:
        path = _PATH_PARAMETER.sub(r"{\1}", operation.path)
        paths.setdefault(path, {})[operation.verb.lower()] = _described(operation, components)
    return {
        "openapi": OPENAPI,
        "info": {"title": TITLE, "version": version, "description": _DESCRIPTION},
        "paths": paths,
        "components": {
            "schemas": components,
            "responses": {
                "Failure": {
                    "description": "One sentence that says what was wrong, and what to do.",
                    "content": {JSON: {"schema": record(error=TEXT)}},
                }
            },
        },
    }


def _described(operation: Operation, components: Json) -> Json:
    described: Json = {
        "operationId": operation.name,
        "summary": operation.summary,
        "parameters": _parameters(operation),
        "responses": {
            "200": {"description": operation.summary, "content": _content(operation.answer)},
            **{str(status): _also(operation, words) for status, words in operation.also.items()},
            "4XX": _FAILURE,
            "5XX": _FAILURE,
        },
    }
    bodies = _content(operation.other_bodies)
    if operation.body is not None:
        bodies[JSON] = {"schema": _referred(operation.body, components)}
    if bodies:
        described["requestBody"] = {"content": bodies, "required": _is_needed(operation)}
    return described


def _is_needed(operation: Operation) -> bool:
    if operation.body is None:
        return True
    try:
        operation.body.model_validate({})
    except ValidationError:
        return True
    return False


def _also(operation: Operation, words: str) -> Json:
    """An answer of the usual form, or the failure that the status has elsewhere."""
    (usual,) = operation.answer.values()
    return {"description": words, "content": {JSON: {"schema": {"anyOf": [usual, record(error=TEXT)]}}}}


def _parameters(operation: Operation) -> list[Json]:
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": _IN_PATH.get(name, _NAME)}
        for name, _ in _PATH_PARAMETER.findall(operation.path)
    ]
    in_headers = [
        {"name": name, "in": "header", "required": False, "description": words, "schema": _LENGTH}
        for name, words in operation.headers.items()
    ]
    schema = operation.query.model_json_schema()
    in_query = [
        {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", ()),
            "description": described.get("description", ""),
            "schema": {key: value for key, value in described.items() if key not in ("title", "description")},
        }
        for name, described in schema.get("properties", {}).items()
    ]
    return [*in_path, *in_headers, *in_query]


def _content(content: Content) -> Json:
    return {media_type: {"schema": schema} if schema else {} for media_type, schema in content.items()}


def _referred(model: type[BaseModel], components: Json) -> Json:
    """A reference to the model's schema, which is put with the others."""
    schema = model.model_json_schema(ref_template=_SCHEMA_PLACE)
    components.update(schema.pop("$defs", {}))
    components[model.__name__] = schema
    return {"$ref": _SCHEMA_PLACE.format(model=model.__name__)}
