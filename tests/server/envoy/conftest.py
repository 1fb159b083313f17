"""Each engine in turn, as a real server; Envoy is left out, with the reason, where it cannot run."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from conveyor_server.engines.envoy.able import why_not
from tests.models import write_tiny_model
from tests.server.process import ServerProcess, running

MAX_MESSAGE_BYTES = 4_000_000


def needs(engine: str) -> None:
    """Skips the test where the engine cannot run."""
    problem = why_not() if engine == "envoy" else None
    if problem is not None:
        pytest.skip(f"Envoy cannot run here: {problem}")


@pytest.fixture(scope="package", params=["grpcio", "envoy"])
def engine(request: pytest.FixtureRequest) -> str:
    """The engine's name."""
    name: str = request.param
    needs(name)
    return name


@pytest.fixture(scope="package")
def envoy() -> None:
    """For tests of Envoy alone."""
    needs("envoy")


@pytest.fixture(scope="package")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository that holds `tiny`."""
    repository: Path = tmp_path_factory.mktemp("models")
    write_tiny_model(repository, "tiny")
    return repository


@pytest.fixture(scope="package")
def server(engine: str, models: Path) -> Iterator[ServerProcess]:
    """Answers at once."""
    with running(models, "--engine", engine, "--max-message-bytes", str(MAX_MESSAGE_BYTES)) as process:
        yield process


@pytest.fixture(scope="package")
def slow_server(engine: str, models: Path) -> Iterator[ServerProcess]:
    """Holds each batch back for 30 seconds, and has room for four rows; each test leaves it empty."""
    with running(models, "--engine", engine, "--max-queue-delay", "30000", "--max-queue-size", "4") as process:
        yield process
