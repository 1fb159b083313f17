"""What a caller cannot do: send too much, wait for ever, leave work behind, come from a page of another site."""

import gzip
import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conformance.models import write_slow
from tests.server.process import ServerProcess, running
from tests.server.rest.asking import get, infer_body, post
from tests.server.rest.conftest import MAX_MESSAGE_BYTES

SLOW = "/v2/models/slow/infer"
SLOW_BODY = infer_body("x", "FP32", [1], [3])
INFER = "/v2/models/echo_fp32/infer"
BODY = infer_body("x", "FP32", [1, 2], [1, 2])


def test_a_large_body_is_refused_before_it_is_read(http: str) -> None:
    with socket.create_connection(http.split(":")) as connection:  # type: ignore[arg-type]  # a port may be text
        head = f"POST {INFER} HTTP/1.1\r\nHost: {http}\r\nContent-Length: {MAX_MESSAGE_BYTES + 1}\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(64).startswith(b"HTTP/1.1 413 ")


def test_a_large_body_of_unknown_length_is_refused(http: str) -> None:
    def parts() -> Iterator[bytes]:
        for _ in range(MAX_MESSAGE_BYTES // 100_000 + 1):
            yield b"%x\r\n" % 100_000 + bytes(100_000) + b"\r\n"

    with socket.create_connection(http.split(":")) as connection:  # type: ignore[arg-type]  # a port may be text
        connection.sendall(f"POST {INFER} HTTP/1.1\r\nHost: {http}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        for part in parts():
            connection.sendall(part)
        assert connection.recv(64).startswith(b"HTTP/1.1 413 ")


def test_a_bomb_is_refused(http: str) -> None:
    answer = post(http, INFER, gzip.compress(bytes(10 * MAX_MESSAGE_BYTES), 1), Content_Encoding="gzip")
    assert answer.status == 413
    assert answer.json()["error"] == f"the body unpacks to more than {MAX_MESSAGE_BYTES} bytes, this server's limit"


@pytest.mark.parametrize("body", [b"[" * 1_000_000, b'{"inputs":' * 100_000, b"9" * 1_000_000])
def test_strange_json_is_survived(http: str, body: bytes) -> None:
    answer = post(http, INFER, body)
    assert answer.status == 400
    assert post(http, INFER, BODY).status == 200


@pytest.mark.parametrize("shape", [[0, 2**62], [2**62, 0], [0, 2**63 - 1]])
def test_a_shape_that_no_array_can_have_is_refused(http: str, shape: list[int]) -> None:
    answer = post(http, "/v2/models/echo_free/infer", infer_body("x", "FP32", shape, []))
    assert answer.status == 400
    assert "too large for any array" in answer.json()["error"]


@pytest.mark.parametrize("header", ["Conveyor_Timeout_Ms", "Grpc_Timeout"])
def test_a_deadline_ends_the_wait(http: str, header: str) -> None:
    value = {"Conveyor_Timeout_Ms": "50", "Grpc_Timeout": "50m"}[header]
    answer = post(http, SLOW, SLOW_BODY, **{header: value})
    # Noticed by the queue, or by the port when the model runs already.
    assert answer.status in (503, 504)
    assert post(http, SLOW, SLOW_BODY, **{header: value.replace("50", "50000")}).status == 200


@pytest.mark.parametrize(
    ("header", "value"), [("Conveyor_Timeout_Ms", "soon"), ("Conveyor_Timeout_Ms", "-1"), ("Grpc_Timeout", "1")]
)
def test_a_deadline_that_cannot_be_read_is_refused(http: str, header: str, value: str) -> None:
    answer = post(http, INFER, BODY, **{header: value})
    assert answer.status == 400
    assert value in answer.json()["error"]


def test_who_closes_the_connection_takes_the_request_back(http: str) -> None:
    def count(kind: str) -> int:
        (counted,) = get(http, "/v2/models/slow/stats").json()["model_stats"]
        return int(counted["inference_stats"][kind]["count"])

    answered = count("success")
    body = json.dumps(SLOW_BODY).encode()
    head = f"POST {SLOW} HTTP/1.1\r\nHost: {http}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    opened = []
    for _ in range(20):
        opened.append(socket.create_connection(http.split(":")))  # type: ignore[arg-type]  # a port may be text
        opened[-1].sendall(head + body)
    for connection in opened:
        connection.close()
    # Twenty would take several times as long as one, and this one is behind them all.
    assert post(http, SLOW, SLOW_BODY).status == 200
    assert count("success") - answered < 10


def test_pages_of_other_sites_are_kept_out(http: str) -> None:
    unload = "/v2/repository/models/echo_fp32/unload"
    for headers in ({"Origin": "http://elsewhere.example"}, {"Origin": "null"}, {"Sec_Fetch_Site": "cross-site"}):
        answer = post(http, unload, {}, **headers)
        assert answer.status == 403
        assert "pages of other sites" in answer.json()["error"]
    for headers in ({"Origin": f"http://{http}"}, {"Sec_Fetch_Site": "same-origin", "Origin": f"http://{http}"}, {}):
        assert post(http, INFER, BODY, **headers).status == 200


def test_a_body_that_never_comes_keeps_nobody_waiting(server: ServerProcess) -> None:
    http, before = server.http_address, len(server.log)
    with socket.create_connection(http.split(":")) as connection:  # type: ignore[arg-type]  # a port may be text
        connection.sendall(f"POST {INFER} HTTP/1.1\r\nHost: {http}\r\nContent-Length: 100\r\n\r\n{{".encode())
        assert post(http, INFER, BODY).status == 200
    # It has gone by now, and that is nothing to write of.
    assert post(http, INFER, BODY).status == 200
    assert "Traceback" not in server.log[before:]


def test_a_raw_body_is_the_only_input(http: str) -> None:
    header = "Inference_Header_Content_Length"
    answer = post(http, "/v2/models/tiny/infer", bytes(128), **{header: "0"})
    assert answer.status == 200
    length = int(answer.headers[header.lower().replace("_", "-")])
    (output,) = json.loads(answer.body[:length])["outputs"]
    assert output["shape"] == [2, 3]
    assert output["parameters"] == {"binary_data_size": 24}
    assert len(answer.body) == length + 24
    assert "no whole number of rows" in post(http, "/v2/models/tiny/infer", bytes(63), **{header: "0"}).json()["error"]
    assert "it has 2 inputs" in post(http, "/v2/models/sums/infer", bytes(8), **{header: "0"}).json()["error"]
    assert "2 axes" in post(http, "/v2/models/echo_free/infer", bytes(8), **{header: "0"}).json()["error"]
    contradiction = post(http, "/v2/models/tiny/infer", bytes(64), Content_Type="application/json", **{header: "0"})
    assert "leave one of them out" in contradiction.json()["error"]


@pytest.mark.parametrize(("model", "status"), [("echo_fp32", 200), ("nothing", 404)])
def test_a_request_keeps_its_id(http: str, model: str, status: int) -> None:
    answer = post(http, f"/v2/models/{model}/infer", BODY, X_Request_Id="mine-7")
    assert (answer.status, answer.headers["x-request-id"]) == (status, "mine-7")


def test_who_finds_the_queue_full_is_told_when_to_come_again(tmp_path: Path) -> None:
    write_slow(tmp_path)
    with running(tmp_path, "--max-queue-size", "1") as server, ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(lambda _: post(server.http_address, SLOW, SLOW_BODY), range(8)))
    refused = [answer for answer in answers if answer.status != 200]
    assert 0 < len(refused) < len(answers)
    for answer in refused:
        assert (answer.status, "Exceeds maximum queue size" in answer.json()["error"]) == (503, True)
        assert int(answer.headers["retry-after"]) >= 1
        assert int(answer.headers["conveyor-retry-after-ms"]) > 0
