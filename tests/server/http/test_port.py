"""The HTTP port of the real server, on both engines: who has it, what it says, how it closes."""

import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.server.envoy.conftest import needs
from tests.server.http.asking import Answer, ask
from tests.server.ports import free_port, one_port
from tests.server.process import START_SECONDS, ServerProcess, running
from tests.server.test_lifecycle import error_of, serve
from tests.server.test_load_limits import write_hanging


@pytest.mark.parametrize(
    ("path", "key"), [("/healthz", "live"), ("/healthz/live", "live"), ("/healthz/ready", "ready")]
)
def test_a_server_that_serves_is_live_and_ready(server: ServerProcess, path: str, key: str) -> None:
    answer = ask(server.http_address, path)
    assert (answer.status, answer.json()) == (200, {key: True})


def test_a_path_or_a_method_that_nobody_has_is_one_sentence(server: ServerProcess) -> None:
    nothing = ask(server.http_address, "/nothing/here")
    assert (nothing.status, nothing.json()) == (404, {"error": "there is nothing at /nothing/here"})
    wrong = ask(server.http_address, "/healthz", "DELETE")
    assert (wrong.status, wrong.json()) == (405, {"error": "/healthz does not take DELETE"})
    assert wrong.headers["allow"]


def test_what_is_not_http_is_refused_and_fills_no_log(server: ServerProcess) -> None:
    host, _, port = server.http_address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(b"\x16\x03\x01 this is something else\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")
    assert ask(server.http_address, "/healthz").status == 200
    assert "Invalid HTTP" not in server.log


def test_without_models_it_is_live_and_says_why_it_is_not_ready(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path)
    try:
        assert ask(server.http_address, "/healthz/live").status == 200
        answer = ask(server.http_address, "/healthz/ready")
        assert (answer.status, answer.json()) == (503, {"ready": False, "reason": "no model serves"})
    finally:
        server.stop()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_draining_server_says_so_until_its_port_closes(models: Path, engine: str, workers: int) -> None:
    flags = ("--engine", engine, "--workers", str(workers), "--drain-delay", "1")
    with running(models, *flags) as server:
        assert ask(server.http_address, "/healthz/ready").status == 200
        server.signal(signal.SIGTERM)
        end = time.monotonic() + START_SECONDS
        while (answer := ask(server.http_address, "/healthz/ready")).status == 200:
            assert time.monotonic() < end
        assert answer.json() == {"ready": False, "reason": "the server is stopping"}
        assert ask(server.http_address, "/healthz/live").status == 200
        assert server.wait() == 0, server.log
        with pytest.raises(ConnectionRefusedError):
            ask(server.http_address, "/healthz/live")


def test_a_taken_port_is_one_clear_sentence(models: Path, engine: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        result = serve(models, "--port", 0, "--engine", engine, "--http-port", port)
    assert result.returncode == 1
    assert f"cannot listen on 127.0.0.1, port {port}: address already in use" in error_of(result)
    assert "--no-http" in error_of(result)


def test_it_can_be_left_out(models: Path) -> None:
    with running(models, "--no-http") as server:
        assert server.http_address == "off"


@pytest.mark.parametrize("way", ["grpcio", "envoy", "one port"])
def test_it_answers_while_models_are_still_loaded(tmp_path: Path, way: str) -> None:
    needs("grpcio" if way == "grpcio" else "envoy")
    write_hanging(tmp_path, "hung")
    flags = one_port() if way == "one port" else ("--engine", way, "--port", "0", "--http-port", free_port())
    command = [sys.executable, "-m", "conveyor_cli", "serve", str(tmp_path), *flags]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        address = f"127.0.0.1:{flags[-1]}"
        assert first_answer(address, "/healthz/live").status == 200
        answer = ask(address, "/healthz/ready")
        assert (answer.status, answer.json()["ready"]) == (503, False)
        process.terminate()
        assert process.wait(START_SECONDS) == 0


def first_answer(address: str, path: str) -> Answer:
    """Of a server that is just being started."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        with suppress(OSError):
            return ask(address, path)
        time.sleep(0.01)
    raise AssertionError(f"nobody answers at {address}")
