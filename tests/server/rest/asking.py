"""Asks REST, for tests: one request on a connection of its own."""

import http.client
import json
from typing import Any

from tests.server.http.asking import Answer


def ask(address: str, method: str, path: str, body: bytes | None, **headers: str) -> Answer:
    """The answer; an underscore in a header's name stands for its hyphen."""
    connection = http.client.HTTPConnection(address, timeout=60)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body=body, headers=named)
        return Answer(connection.getresponse())
    finally:
        connection.close()


def get(address: str, path: str, **headers: str) -> Answer:
    """A GET."""
    return ask(address, "GET", path, None, **headers)


def post(address: str, path: str, content: Any = None, **headers: str) -> Answer:
    """A POST of bytes, or of anything else as JSON."""
    body = content if isinstance(content, bytes | None) else json.dumps(content).encode()
    return ask(address, "POST", path, body, **headers)


def infer_body(name: str, datatype: str, shape: list[int], data: Any, **more: Any) -> dict[str, Any]:
    """A request with one tensor."""
    return {"inputs": [{"name": name, "datatype": datatype, "shape": shape, "data": data}], **more}
