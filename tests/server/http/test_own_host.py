"""A server of this machine's own programs answers nobody who was led to it by another name."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.models import write_tiny_model
from tests.server.http.asking import ask
from tests.server.process import ServerProcess, running

EXPLICIT = ("--model-control-mode", "explicit", "--load-model", "*")
UNLOAD = "/v2/repository/models/tiny/unload"
PATHS = ("/v2", "/v2/models/tiny", "/v1/models", "/openapi.json", "/metrics", "/", "/console/files/app.js", "/nowhere")
HEALTH = ("/healthz", "/healthz/live", "/healthz/ready", "/v2/health/live", "/v2/health/ready")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with one model."""
    repository: Path = tmp_path_factory.mktemp("tiny")
    write_tiny_model(repository)
    return repository


@pytest.fixture(scope="module")
def server(tiny: Path) -> Iterator[ServerProcess]:
    with running(tiny, *EXPLICIT) as process:
        yield process


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8002", "localhost.evil.example", "127.0.0.1.nip.io", "["]
)
def test_a_page_that_dns_led_here_changes_nothing(server: ServerProcess, host: str) -> None:
    answer = ask(server.http_address, UNLOAD, "POST", Host=host, Origin=f"http://{host}")
    assert answer.status == 403
    assert answer.json() == {"error": "without a token this server answers only as localhost; ask it under that name"}
    assert ask(server.http_address, "/v2/models/tiny/ready").status == 200


@pytest.mark.parametrize("path", PATHS)
def test_it_reads_nothing(server: ServerProcess, path: str) -> None:
    assert ask(server.http_address, path, Host="evil.example").status == 403


@pytest.mark.parametrize("path", HEALTH)
def test_health_is_for_everybody(server: ServerProcess, path: str) -> None:
    assert ask(server.http_address, path, Host="evil.example").status == 200


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1", "127.0.0.1:8002", "[::1]:8002"])
def test_the_machines_own_names_do(server: ServerProcess, host: str) -> None:
    assert ask(server.http_address, "/v2", Host=host).status == 200


def test_who_is_known_by_a_token_may_call_it_anything(tiny: Path, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("a-long-enough-token\n")
    with running(tiny, "--inference-token-file", str(tokens)) as server:
        headers = {"Authorization": "Bearer a-long-enough-token", "Host": "models.example"}
        assert ask(server.http_address, "/v2/models/tiny", **headers).status == 200


def test_where_other_machines_reach_it_any_name_may_be_its_own(tiny: Path) -> None:
    with running(tiny, "--http-host", "0.0.0.0") as server:
        address = f"127.0.0.1:{server.http_address.rpartition(':')[2]}"
        assert ask(address, "/v2/models/tiny", Host="models.example").status == 200
        assert ask(address, "/metrics", Host="models.example").status == 200
