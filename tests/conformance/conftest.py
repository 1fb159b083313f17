"""The server under test: one of our own in a process of its own, or the one that --url names."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import tritonclient.grpc as triton

from tests.conformance.asking import WAYS, Ask, way
from tests.conformance.models import write_repository
from tests.server.process import running

FLAGS = ("--model-control-mode", "explicit", "--load-model", "*")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--url", default=None, help="host:port of a server that serves tests.conformance.models")
    parser.addoption("--engine", default="grpcio", help="what carries gRPC in the server that the suite starts")
    parser.addoption("--workers", default="1", help="processes of the server that the suite starts")


@pytest.fixture(scope="package")
def repository(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Path | None:
    """The repository of our own server, which a test may change; None for a server elsewhere."""
    if pytestconfig.getoption("--url", default=None):
        return None
    folder = tmp_path_factory.mktemp("repository")
    write_repository(folder)
    return folder


@pytest.fixture(scope="package")
def engine(pytestconfig: pytest.Config) -> str:
    """What carries gRPC in our own servers."""
    return str(pytestconfig.getoption("--engine", default="grpcio"))


@pytest.fixture(scope="package")
def url(repository: Path | None, engine: str, pytestconfig: pytest.Config) -> Iterator[str]:
    """Where the server under test is."""
    if repository is None:
        yield str(pytestconfig.getoption("--url"))
        return
    workers = str(pytestconfig.getoption("--workers", default="1"))
    with running(repository, *FLAGS, "--engine", engine, "--workers", workers) as server:
        yield server.address


@pytest.fixture
def client(url: str) -> Iterator[triton.InferenceServerClient]:
    """A client of the server."""
    with triton.InferenceServerClient(url) as opened:
        yield opened


@pytest.fixture(params=WAYS)
def ask(request: pytest.FixtureRequest, url: str) -> Ask:
    """Each of the three ways to infer."""
    return way(request.param, url)


@pytest.fixture
def conveyor(client: triton.InferenceServerClient) -> None:
    """Skips what other servers need not do."""
    name = client.get_server_metadata().name
    if name != "conveyor":
        pytest.skip(f"{name} need not do this")


@pytest.fixture
def own_repository(repository: Path | None) -> Path:
    """Skips what needs the server's files at hand."""
    if repository is None:
        pytest.skip("the repository of the server at --url is not at hand")
    return repository


@pytest.fixture
def one_queue(pytestconfig: pytest.Config) -> None:
    """Skips what needs every connection to lead to the same queue."""
    if str(pytestconfig.getoption("--workers", default="1")) != "1":
        pytest.skip("each worker has a queue of its own")
