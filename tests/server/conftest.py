"""Fixtures: one real server for the tests that only ask it things."""

from collections.abc import Iterator

import pytest

from tests.models import write_tiny_model
from tests.server.process import ServerProcess, running


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Serves `tiny`, 8x8 grayscale, and `colour`, 6x4 RGB."""
    repository = tmp_path_factory.mktemp("repository")
    write_tiny_model(repository, "tiny")
    write_tiny_model(repository, "colour", height=6, width=4, channels=3, classes=5)
    with running(repository, "--max-images-per-request", "20", "--max-message-bytes", "1000000") as process:
        yield process
