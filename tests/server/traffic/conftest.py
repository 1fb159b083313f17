"""A real server on each engine, alone and with workers, whose digits have a good, a better and a wrong version."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from conveyor_client.admin import AdminClient
from tests.counts import count
from tests.server.envoy.conftest import needs
from tests.server.process import ServerProcess, running
from tests.server.traffic.digits import NAME, write_digits

# Version 2 was taught from more images; version 3 with wrong labels.
SERVERS = ["grpcio/1", "envoy/2", "grpcio/2"]
FLAGS = ("--version-policy", "all", "--traffic", f"{NAME}:stable=1")


@pytest.fixture(scope="package")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository."""
    repository = tmp_path_factory.mktemp("digits")
    write_digits(repository, 1, rows=800)
    write_digits(repository, 2)
    write_digits(repository, 3, swapped=True)
    return repository


@pytest.fixture(scope="package", params=SERVERS[: count("servers with versions on trial")])
def server(request: pytest.FixtureRequest, digits: Path) -> Iterator[ServerProcess]:
    """Each test leaves it with version 1 stable, and nothing on trial."""
    engine, workers = request.param.split("/")
    needs(engine)
    with running(digits, "--engine", engine, "--workers", workers, *FLAGS) as process:
        yield process


@pytest.fixture
def admin(server: ServerProcess) -> Iterator[AdminClient]:
    """An operator, who leaves things as they were."""
    with AdminClient(server.address) as client:
        yield client
        client.clear_traffic(NAME)
        client.promote(NAME, "1")
