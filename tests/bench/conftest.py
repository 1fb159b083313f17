"""The servers that benchmarks run against."""

from collections.abc import Iterator

import pytest

from conveyor_bench.server_process import serving
from tests.clients.conftest import server, silent_address
from tests.models import write_tiny_model

__all__ = ["server", "silent_address"]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real server with the model "tiny"."""
    folder = tmp_path_factory.mktemp("models")
    write_tiny_model(folder, name="tiny")
    with serving(folder) as started:
        yield started.address
