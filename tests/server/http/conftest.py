"""Each engine in turn, and a repository for servers of a test's own."""

from pathlib import Path

import pytest

from tests.models import write_tiny_model
from tests.server.envoy.conftest import needs


@pytest.fixture(scope="package", params=["grpcio", "envoy"])
def engine(request: pytest.FixtureRequest) -> str:
    """The engine's name."""
    name: str = request.param
    needs(name)
    return name


@pytest.fixture(scope="package")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository that holds `tiny`."""
    repository: Path = tmp_path_factory.mktemp("models")
    write_tiny_model(repository, "tiny")
    return repository
