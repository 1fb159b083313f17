"""gRPC and HTTP on one port, behind Envoy: both at the same time, each as on a port of its own."""

import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import grpc
import pytest

from conveyor_contract.preprocessing import encode_png
from tests.server.envoy.asking import ROWS, is_right, request, right_labels
from tests.server.envoy.test_able import WITHOUT_PYVOY
from tests.server.http.asking import ask
from tests.server.ports import free_port, one_port
from tests.server.process import START_SECONDS, ServerProcess, running
from tests.server.rest.asking import get, post
from tests.server.test_lifecycle import error_of, serve

pytestmark = pytest.mark.usefixtures("envoy")

CALLS = 50
CLASSIFY = "/v1/classify?model=tiny"
UPGRADE = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}


@pytest.fixture(scope="module")
def server(models: Path) -> Iterator[ServerProcess]:
    with running(models, *one_port(), "--log-sample-rate", "1") as process:
        yield process


def label(models: Path, answer: object) -> int:
    assert isinstance(answer, dict), answer
    found: int = answer["results"][0]["predictions"][0]["index"]
    return found


@pytest.mark.parametrize("way", ["one port", "a port of its own"])
def test_grpc_is_not_spoken_over_http_1(models: Path, server: ServerProcess, way: str) -> None:
    """Else a page to whose name DNS gives this machine's address could ask for anything."""
    head = {"Content-Type": "application/grpc", "Host": "evil.example", "Origin": "http://evil.example"}
    with nullcontext(server) if way == "one port" else running(models, "--engine", "envoy") as asked:
        answer = ask(asked.address, "/grpc.health.v1.Health/Check", "POST", **head)
    assert (answer.status, answer.text) == (505, "gRPC needs HTTP/2.\n")


def test_the_ready_line_names_the_port_twice(server: ServerProcess) -> None:
    assert server.http_address == server.address


def test_both_answer_at_the_same_time(server: ServerProcess, models: Path) -> None:
    wrong: list[object] = []

    def by_grpc() -> None:
        answers = (server.stub.Classify(request(index), timeout=20) for index in range(CALLS))
        wrong.extend(answer for index, answer in enumerate(answers) if not is_right(models, index, answer))

    callers = [threading.Thread(target=by_grpc) for _ in range(2)]
    for caller in callers:
        caller.start()
    for index in range(CALLS):
        answer = post(server.address, CLASSIFY, encode_png(ROWS[index % len(ROWS)]))
        assert answer.status == 200, answer.text
        assert label(models, answer.json()) == right_labels(models)[index % len(ROWS)]
    for caller in callers:
        caller.join()
    assert not wrong


def test_every_part_of_http_is_there(server: ServerProcess) -> None:
    assert ask(server.address, "/healthz/ready").json() == {"ready": True}
    assert "Conveyor console" in ask(server.address, "/").text
    assert ask(server.address, "/console/files/app.js").status == 200
    assert "conveyor_server_ready 1" in ask(server.address, "/metrics").text
    assert get(server.address, "/v2/models/tiny").json()["name"] == "tiny"


def test_paths_and_methods_that_nobody_has_are_one_sentence(server: ServerProcess) -> None:
    nothing = ask(server.address, "/nothing/here")
    assert (nothing.status, nothing.json()) == (404, {"error": "there is nothing at /nothing/here"})
    wrong = ask(server.address, "/healthz", "DELETE")
    assert (wrong.status, wrong.json()) == (405, {"error": "/healthz does not take DELETE"})
    assert wrong.headers["allow"]
    head = ask(server.address, "/healthz", "HEAD")
    assert (head.status, head.body, int(head.headers["content-length"]) > 0) == (200, b"", True)


def test_a_deadline_that_cannot_be_read_is_refused_as_http_refuses(server: ServerProcess) -> None:
    answer = post(server.address, CLASSIFY, encode_png(ROWS[0]), grpc_timeout="soon")
    assert answer.status == 400
    assert "soon" in answer.json()["error"]


@pytest.mark.parametrize("http", ["--http1.1", "--http2", "--http2-prior-knowledge"])
def test_each_version_of_http_is_taken(server: ServerProcess, tmp_path: Path, models: Path, http: str) -> None:
    if shutil.which("curl") is None:
        pytest.skip("HTTP/2 is asked for by curl")
    (tmp_path / "row.png").write_bytes(encode_png(ROWS[3]))
    command = ["curl", "--silent", "--show-error", http, "--write-out", " %{http_version}"]
    body = ["--data-binary", f"@{tmp_path / 'row.png'}", f"http://{server.address}{CLASSIFY}"]
    done = subprocess.run([*command, *body], capture_output=True, text=True, check=True, timeout=30)
    # An upgrade from HTTP/1.1 is not taken: who wants HTTP/2 says so at once, as gRPC does.
    assert done.stdout.endswith(" 2" if http == "--http2-prior-knowledge" else " 1.1")
    assert f'"index":{right_labels(models)[3]}' in done.stdout.replace(" ", "")


def test_another_protocol_is_refused_and_what_is_none_too(server: ServerProcess) -> None:
    answer = ask(server.address, "/", **UPGRADE)
    assert (answer.status, "leave the header Upgrade out" in answer.json()["error"]) == (400, True)
    host, _, port = server.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(b"\x16\x03\x01 this is something else\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")
    assert ask(server.address, "/healthz").status == 200


def test_a_callers_address_is_not_what_it_says(server: ServerProcess) -> None:
    forged = {"X_Forwarded_For": "9.9.9.9", "X_Request_Id": "over-http"}
    assert post(server.address, CLASSIFY, encode_png(ROWS[0]), **forged).status == 200
    server.stub.Classify(request(0), metadata=(("x-forwarded-for", "9.9.9.9"), ("x-request-id", "over-grpc")))
    for name in ("over-http", "over-grpc"):
        line = server.wait_for_log(rf".*request_id={name}.*").group()
        assert re.search(r"peer=ipv4:127\.0\.0\.1:\d+", line), line


def test_tokens_stand_before_both(models: Path, tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("a-token-0123456789abcdef\n")
    with running(models, *one_port(), "--inference-token-file", str(tmp_path / "tokens")) as server:
        picture = encode_png(ROWS[0])
        assert post(server.address, CLASSIFY, picture).status == 401
        assert post(server.address, CLASSIFY, picture, X_Api_Key="a-token-0123456789abcdef").status == 200
        with pytest.raises(grpc.RpcError) as refused:
            server.stub.Classify(request(0), timeout=10)
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
        assert ask(server.address, "/healthz/ready").status == 200


@pytest.mark.parametrize("workers", [1, 2])
def test_a_draining_server_says_so_first_and_answers_what_it_accepted(models: Path, workers: int) -> None:
    flags = ("--workers", str(workers), "--drain-delay", "1", "--max-queue-delay", "1500")
    with running(models, *one_port(), *flags) as server:
        assert ask(server.address, "/healthz/ready").status == 200
        statuses: list[int] = []
        picture = encode_png(ROWS[0])
        caller = threading.Thread(target=lambda: statuses.append(post(server.address, CLASSIFY, picture).status))
        caller.start()
        time.sleep(0.2)
        server.signal(signal.SIGTERM)
        end = time.monotonic() + START_SECONDS
        while (answer := ask(server.address, "/healthz/ready")).status == 200:
            assert time.monotonic() < end
        assert answer.json() == {"ready": False, "reason": "the server is stopping"}
        caller.join()
        assert statuses == [200]
        assert server.wait() == 0, server.log
        with pytest.raises(ConnectionRefusedError):
            ask(server.address, "/healthz/live")


@pytest.mark.parametrize("workers", [1, 2])
def test_grpcio_refuses_with_what_to_do(models: Path, workers: int) -> None:
    port = free_port()
    result = serve(models, "--engine", "grpcio", "--port", port, "--http-port", port, "--workers", workers)
    assert result.returncode == 1
    assert error_of(result) == (
        f"error: gRPC and HTTP on one port, {port}, need the engine envoy; give HTTP another with --http-port, or "
        "leave it out with --no-http."
    )


def test_where_envoy_cannot_run_auto_says_that_too(models: Path) -> None:
    port = free_port()
    command = [sys.executable, "-c", WITHOUT_PYVOY, "serve", str(models), "--port", port, "--http-port", port]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "serving with the engine grpcio: the engine envoy cannot be used" in done.stderr
    assert f"error: gRPC and HTTP on one port, {port}, need the engine envoy" in done.stderr
