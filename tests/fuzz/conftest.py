"""Each engine in turn: one server to be shot at."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.models import write_tiny_model
from tests.server.envoy.conftest import needs
from tests.server.process import ServerProcess, running

MAX_MESSAGE_BYTES = 4_000_000
FLAGS = ("--model-control-mode", "explicit", "--load-model", "*", "--max-message-bytes", str(MAX_MESSAGE_BYTES))


@pytest.fixture(scope="package", params=["grpcio", "envoy"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Lets callers change everything, so that everything is reached."""
    needs(request.param)
    repository: Path = tmp_path_factory.mktemp("models")
    write_tiny_model(repository, "tiny")
    write_tiny_model(repository, "colour", height=6, width=4, channels=3, classes=5)
    with running(repository, "--engine", request.param, *FLAGS) as process:
        yield process
