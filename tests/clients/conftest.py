"""The scripted server, started for a test."""

import socket
from collections.abc import Iterator

import pytest

from tests.clients import scripted


@pytest.fixture
def server() -> Iterator[scripted.ScriptedServer]:
    running = scripted.start(scripted.Script())
    yield running
    running.server.stop(None).wait()


@pytest.fixture
def silent_address() -> Iterator[str]:
    """An address where connections are refused."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # bound but not listening
        yield f"127.0.0.1:{reserved.getsockname()[1]}"
