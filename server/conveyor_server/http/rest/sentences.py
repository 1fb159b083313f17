"""What was wrong with a request's JSON or query, in one sentence."""

from __future__ import annotations

from pydantic import ValidationError

from conveyor_server.shortening import shortened


def of_body(error: ValidationError) -> str:
    """As "inputs[0].shape in the JSON of the body: input should be a valid list"."""
    first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        return f"the body is not JSON: {first['ctx']['error']}"
    where = _path(first["loc"])
    start = f"{where} in the JSON of the body" if where else "the JSON of the body"
    return f"{start}: {_lower(first['msg'])}"


def of_query(error: ValidationError) -> str:
    """As "the query's top_k: input should be a valid integer"."""
    first = error.errors(include_url=False, include_input=False)[0]
    name = _path(first["loc"])
    if first["type"] == "missing":
        return f"the query needs {name}=..."
    if first["type"] == "extra_forbidden":
        return f"the query has no parameter {name!r}"
    return f"the query's {name}: {_lower(first['msg'])}"


def _path(location: tuple[int | str, ...]) -> str:
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return shortened(path.removeprefix("."))


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]
