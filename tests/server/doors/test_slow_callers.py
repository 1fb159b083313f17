"""Callers who connect and send nothing, or too slowly: their connections end, and nobody else waits."""

import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.server.envoy.conftest import needs
from tests.server.http.asking import ask
from tests.server.ports import one_port
from tests.server.process import START_SECONDS, ServerProcess, running

SECONDS, CONNECTIONS = 1.0, 12
INFER = "/v2/models/tiny/infer"
HEAD = f"POST {INFER} HTTP/1.1\r\nHost: localhost\r\nX-Conveyor-Console: 1\r\nContent-Length: 1000000\r\n".encode()


@pytest.fixture(scope="module", params=["grpcio", "envoy", "one port"])
def server(request: pytest.FixtureRequest, models: Path) -> Iterator[ServerProcess]:
    """HTTP beside each engine, and on Envoy's port."""
    needs("grpcio" if request.param == "grpcio" else "envoy")
    way: Sequence[str] = one_port() if request.param == "one port" else ("--engine", request.param)
    limits = ("--max-read-seconds", str(SECONDS), "--max-connections", str(CONNECTIONS))
    with running(models, *way, *limits) as process:
        yield process


@contextmanager
def connected(server: ServerProcess, sent: bytes = b"") -> Iterator[socket.socket]:
    host, port = server.http_address.split(":")
    with socket.create_connection((host, int(port)), timeout=START_SECONDS) as connection:
        connection.sendall(sent)
        yield connection


def head_for(path: str) -> bytes:
    return HEAD.replace(INFER.encode(), path.encode())


def last_words(connection: socket.socket, dripping: bytes = b"") -> bytes:
    """What the server says before it closes the connection, which is sent something now and then meanwhile."""
    said = b""
    connection.settimeout(SECONDS / 5)
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        try:
            if dripping:
                connection.sendall(dripping)
            part = connection.recv(4096)
        except TimeoutError:
            continue
        except OSError:
            return said
        if not part:
            return said
        said += part
    raise AssertionError(f"the connection is still open after {START_SECONDS} seconds; it said {said!r}")


@pytest.mark.parametrize("dripping", [b"", b"X"], ids=["silent", "dripping"])
def test_headers_that_do_not_come_are_not_waited_for(server: ServerProcess, dripping: bytes) -> None:
    with connected(server, HEAD + b"X-Long: ") as connection:
        said = last_words(connection, dripping)
    assert said.startswith(b"HTTP/1.1 408 ") or not said
    assert ask(server.http_address, "/v2").status == 200


@pytest.mark.parametrize("dripping", [b"", b" "], ids=["silent", "dripping"])
@pytest.mark.parametrize("path", [INFER, "/v1/classify?model=tiny", "/console/look?model=tiny"])
def test_a_body_that_does_not_come_is_not_waited_for(server: ServerProcess, path: str, dripping: bytes) -> None:
    before = len(server.log)
    with connected(server, head_for(path) + b"\r\n") as connection:
        said = last_words(connection, dripping)
    assert said.startswith(b"HTTP/1.1 408 ")
    assert b"the body did not come in time" in said
    assert ask(server.http_address, "/v2").status == 200
    assert "Traceback" not in server.log[before:]


def test_the_rest_of_a_body_that_nobody_reads_is_not_waited_for_either(server: ServerProcess) -> None:
    with connected(server, head_for("/v2/models/nobody/infer") + b"\r\n") as connection:
        assert last_words(connection, b" ").startswith(b"HTTP/1.1 404 ")


def test_a_body_that_comes_slowly_but_comes_is_read(server: ServerProcess) -> None:
    """It takes longer than what it begins with, and as long as its size allows."""
    size, parts = 400_000, 20
    head = HEAD.replace(b"1000000", str(size).encode()) + b"Inference-Header-Content-Length: 0\r\n\r\n"
    with connected(server, head) as connection:
        for _ in range(parts):
            connection.sendall(bytes(size // parts))
            time.sleep(2 * SECONDS / parts)
        # All of it was there, and is no request that the model can take.
        assert connection.recv(64).startswith(b"HTTP/1.1 400 ")


def test_who_leaves_in_the_middle_of_a_body_is_nobodys_error(server: ServerProcess) -> None:
    before = len(server.log)
    for path in (INFER, "/v1/classify?model=tiny", "/console/look?model=tiny", "/console/explain?model=tiny&index=0"):
        with connected(server, head_for(path) + b"\r\nx"):
            # Its handler waits for more by now.
            assert ask(server.http_address, "/v2").status == 200
    time.sleep(SECONDS)
    assert ask(server.http_address, "/v2").status == 200
    assert "Traceback" not in server.log[before:]


def test_more_connections_than_allowed_are_closed(server: ServerProcess) -> None:
    with ExitStack() as stack:
        opened = [stack.enter_context(connected(server)) for _ in range(2 * CONNECTIONS)]
        answered = sum(map(is_answered, opened))
        assert 0 < answered <= CONNECTIONS
    end = time.monotonic() + START_SECONDS
    while True:
        # Those that were closed do not count for ever.
        with connected(server) as connection:
            if is_answered(connection):
                return
        assert time.monotonic() < end


def is_answered(connection: socket.socket) -> bool:
    try:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return connection.recv(64).startswith(b"HTTP/1.1 200 ")
    except OSError:
        return False
