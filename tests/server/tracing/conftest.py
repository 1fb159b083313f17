"""Each engine in turn, with everything that looks at calls switched on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.models import write_tiny_model
from tests.server.envoy.conftest import needs
from tests.server.process import ServerProcess, running
from tests.server.tracing.collector import Collector, collecting


@pytest.fixture(scope="package")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository that holds `tiny`."""
    repository: Path = tmp_path_factory.mktemp("models")
    write_tiny_model(repository, "tiny")
    return repository


@pytest.fixture(scope="package", params=["grpcio", "envoy"])
def engine(request: pytest.FixtureRequest) -> str:
    """The engine's name."""
    name: str = request.param
    needs(name)
    return name


@pytest.fixture(scope="package")
def collector() -> Iterator[Collector]:
    """Where the server's spans go."""
    with collecting() as running_collector:
        yield running_collector


@pytest.fixture(scope="package")
def server(engine: str, models: Path, collector: Collector) -> Iterator[ServerProcess]:
    """Logs every call as JSON; traces those whose callers ask for it."""
    with pytest.MonkeyPatch.context() as patch:
        # Milliseconds between two exports.
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        traces = ("--otlp-endpoint", collector.endpoint, "--trace-sample-rate", "0")
        logs = ("--log-format", "json", "--log-sample-rate", "1")
        with running(models, "--engine", engine, *traces, *logs, "--max-images-per-request", "4") as process:
            yield process


@pytest.fixture(scope="package")
def plain_server(engine: str, models: Path) -> Iterator[ServerProcess]:
    """As it is without a flag."""
    with running(models, "--engine", engine) as process:
        yield process
