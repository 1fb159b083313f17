"""Asks a server's HTTP port, for tests."""

import http.client
import json
from typing import Any


class Answer:
    """Status, headers in small letters, body."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()

    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)

    @property
    def text(self) -> str:
        """The body, as text."""
        return self.body.decode()


def ask(address: str, path: str, method: str = "GET", **headers: str) -> Answer:
    """One request on a connection of its own; `address` is host:port."""
    connection = http.client.HTTPConnection(address, timeout=30)
    try:
        connection.request(method, path, headers=headers)
        return Answer(connection.getresponse())
    finally:
        connection.close()
