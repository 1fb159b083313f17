"""Each limit on what comes over HTTP, and somebody who tries to get past it."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.server.ports import one_port
from tests.server.process import running
from tests.server.rest.asking import get, infer_body, post

INFER, LOOK = "/v2/models/tiny/infer", "/console/look?model=tiny"
RATE, BURST, JSON_BYTES = 0.1, 4, 2000
PATHS = (INFER, "/v1/classify?model=tiny", "/v2/models/nobody/infer", LOOK)


@pytest.fixture(scope="module", params=["a port of its own", "one port"])
def address(
    request: pytest.FixtureRequest, engine: str, models: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """HTTP beside each engine, and on Envoy's port. Each number is the token of a caller with a rate of its own."""
    if request.param == "one port" and engine != "envoy":
        pytest.skip("one port needs Envoy")
    tokens = tmp_path_factory.mktemp("tokens") / "tokens"
    tokens.write_text("\n".join(map(str, range(20))))
    way = one_port() if request.param == "one port" else ("--engine", engine)
    limits = ("--rate-limit", str(RATE), "--rate-burst", str(BURST), "--max-json-bytes", str(JSON_BYTES))
    with running(models, *way, *limits, "--inference-token-file", str(tokens)) as server:
        yield server.http_address


def token(caller: int) -> dict[str, str]:
    return {"X_Api_Key": str(caller), "X_Conveyor_Console": "1"}


@contextmanager
def begun(address: str, path: str, caller: int) -> Iterator[socket.socket]:
    """A POST of whose body nothing has come."""
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        own = f"X-Api-Key: {caller}\r\nX-Conveyor-Console: 1\r\n"
        connection.sendall(f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{own}Content-Length: 9999\r\n\r\n".encode())
        yield connection


@pytest.mark.parametrize(("caller", "path"), list(enumerate(PATHS)))
def test_one_caller_does_not_get_past_its_rate(address: str, caller: int, path: str) -> None:
    began = time.monotonic()
    answers = [post(address, path, b"no body of any use", **token(caller)) for _ in range(3 * BURST)]
    refused = [answer for answer in answers if answer.status == 429]
    # What was refused for another reason counts too.
    assert BURST <= len(answers) - len(refused) <= BURST + RATE * (time.monotonic() - began) + 1
    assert all("too many calls" in answer.json()["error"] for answer in refused)
    assert all(0 < int(answer.headers["retry-after"]) <= 1 / RATE for answer in refused)
    with begun(address, path, caller) as connection:
        # Before anything of the body is there.
        assert connection.recv(64).startswith(b"HTTP/1.1 429 ")
    assert get(address, "/v2/health/live").status == 200


def test_a_call_counts_once(address: str) -> None:
    began = time.monotonic()
    raw = {"Inference_Header_Content_Length": "0", **token(10)}
    # This asks for the model's description too.
    assert post(address, INFER, bytes(64), **raw).status == 200
    body = infer_body("image", "UINT8", [1, 8, 8, 1], [0] * 64)
    statuses = [post(address, INFER, body, **token(10)).status for _ in range(BURST)]
    assert statuses[: BURST - 1] == [200] * (BURST - 1)
    assert statuses[-1] == 429 or time.monotonic() - began > 1 / RATE


def test_nothing_is_read_for_a_model_that_is_not_there(address: str) -> None:
    for path in ("/v2/models/nobody/infer", "/v2/models/tiny/versions/9/infer", "/v1/classify?model=nobody"):
        with begun(address, path, 11) as connection:
            assert connection.recv(64).startswith(b"HTTP/1.1 404 ")


def test_more_json_than_allowed_is_refused(address: str) -> None:
    body = infer_body("image", "UINT8", [1, 8, 8, 1], [0] * 64)
    assert post(address, INFER, body, **token(12)).status == 200
    head = b" " * (JSON_BYTES + 1)
    for path in (INFER, "/v2/repository/index"):
        answer = post(address, path, head, **token(12))
        assert answer.status == 413
        assert answer.json()["error"].startswith(f"the JSON has {len(head)} bytes, over the limit of {JSON_BYTES}; ")
    binary = {"Inference_Header_Content_Length": str(len(head)), **token(12)}
    assert post(address, INFER, head + bytes(64), **binary).status == 413
