"""REST is behind the same doors as gRPC, and they are tried before a body is read."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.models import write_tiny_model
from tests.server.process import ServerProcess, running
from tests.server.rest.asking import get, post

INFERENCE, ADMIN = "inference-token-0123456789abcdef", "admin-token-0123456789abcdef"
UNLOAD = "/v2/repository/models/tiny/unload"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that asks for tokens."""
    folder: Path = tmp_path_factory.mktemp("guarded")
    write_tiny_model(folder / "models")
    (folder / "inference").write_text(INFERENCE + "\n")
    (folder / "admin").write_text(ADMIN + "\n")
    flags = ("--inference-token-file", str(folder / "inference"), "--admin-token-file", str(folder / "admin"))
    with running(folder / "models", "--model-control-mode", "explicit", "--load-model", "*", *flags) as server:
        yield server


def test_who_has_no_token_is_sent_away(guarded: ServerProcess, picture: bytes) -> None:
    answer = post(guarded.http_address, "/v1/classify?model=tiny", picture)
    assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert "needs a token" in answer.json()["error"]


@pytest.mark.parametrize("header", ["Authorization", "X_Api_Key"])
def test_who_has_one_comes_in(guarded: ServerProcess, picture: bytes, header: str) -> None:
    value = f"Bearer {INFERENCE}" if header == "Authorization" else INFERENCE
    assert post(guarded.http_address, "/v1/classify?model=tiny", picture, **{header: value}).status == 200
    assert get(guarded.http_address, "/v2/models/tiny", **{header: value}).status == 200


def test_administration_needs_its_own(guarded: ServerProcess) -> None:
    assert post(guarded.http_address, UNLOAD, {}, Authorization=f"Bearer {INFERENCE}").status == 403
    assert post(guarded.http_address, "/v2/logging", {}, Authorization=f"Bearer {INFERENCE}").status == 403
    assert post(guarded.http_address, UNLOAD, {}, Authorization="Bearer something-else-entirely").status == 401
    assert post(guarded.http_address, "/v2/logging", {}, Authorization=f"Bearer {ADMIN}").status == 200


def test_health_is_open(guarded: ServerProcess) -> None:
    assert get(guarded.http_address, "/v2/health/live").status == 200
    assert get(guarded.http_address, "/v2/health/ready").status == 200


def test_the_door_is_before_the_body(guarded: ServerProcess) -> None:
    host, port = guarded.http_address.split(":")
    with socket.create_connection((host, int(port))) as connection:
        head = f"POST /v2/models/tiny/infer HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: 1000\r\n\r\n"
        connection.sendall(head.encode())
        # Nothing of the body has been sent, and the answer is there.
        assert connection.recv(64).startswith(b"HTTP/1.1 401 ")
