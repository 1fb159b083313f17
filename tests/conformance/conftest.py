"""The servers under test: our own in each setup, in processes of their own, or the one that --url names."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import pytest
import tritonclient.grpc as triton

from tests.conformance.asking import WAYS, Ask, way
from tests.conformance.models import write_repository
from tests.counts import is_full
from tests.server.envoy.conftest import needs
from tests.server.process import running

FLAGS = ("--model-control-mode", "explicit", "--load-model", "*")


@dataclass(frozen=True, kw_only=True)
class Setup:
    """How a server of our own is started; with `url`, which server elsewhere is driven."""

    engine: str = ""
    workers: int = 1
    url: str = ""

    def __str__(self) -> str:
        return self.url or f"{self.engine}-{self.workers}"


SETUPS = tuple(Setup(engine=engine, workers=workers) for engine, workers in product(("grpcio", "envoy"), (1, 2)))
# Each engine and each number of workers once.
USUAL_SETUPS = (SETUPS[0], SETUPS[-1])


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--url", default=None, help="host:port of a server that serves tests.conformance.models")
    parser.addoption("--engine", default=None, help="what carries gRPC in the server that the suite starts")
    parser.addoption("--workers", default=None, type=int, help="processes of the server that the suite starts")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test that needs a server runs once against each."""
    if "setup" in metafunc.fixturenames:
        metafunc.parametrize("setup", setups(metafunc.config), indirect=True, ids=str, scope="package")


def setups(config: pytest.Config) -> Sequence[Setup]:
    """What the options name, or else what the suite runs on by itself."""
    url, engine, workers = (config.getoption(name, default=None) for name in ("--url", "--engine", "--workers"))
    if url:
        return [Setup(url=url)]
    if engine or workers:
        return [Setup(engine=engine or "grpcio", workers=workers or 1)]
    return SETUPS if is_full() else USUAL_SETUPS


@pytest.fixture(scope="package")
def setup(request: pytest.FixtureRequest) -> Setup:
    """Each setup in turn; Envoy is left out, with the reason, where it cannot run."""
    chosen: Setup = request.param
    needs(chosen.engine)
    return chosen


@pytest.fixture(scope="package")
def repository(setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    """The repository of our own server, which a test may change; None for a server elsewhere."""
    if setup.url:
        return None
    folder = tmp_path_factory.mktemp("repository")
    write_repository(folder)
    return folder


@pytest.fixture(scope="package")
def url(repository: Path | None, setup: Setup) -> Iterator[str]:
    """Where the server under test is."""
    if repository is None:
        yield setup.url
        return
    with running(repository, *FLAGS, "--engine", setup.engine, "--workers", str(setup.workers)) as server:
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
def one_queue(setup: Setup) -> None:
    """Skips what needs every connection to lead to the same queue."""
    if setup.workers > 1:
        pytest.skip("each worker has a queue of its own")
