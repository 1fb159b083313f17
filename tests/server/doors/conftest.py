"""Each engine in turn, a repository, and authorities that certify servers and callers."""

import shutil
from pathlib import Path

import pytest

from tests.clients.certificates import Authority
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


def _authority(folder: Path, name: str) -> Authority:
    if shutil.which("openssl") is None:
        pytest.skip("the certificates are made by openssl")
    return Authority(folder, name)


@pytest.fixture(scope="package")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Whom the server and its callers trust."""
    return _authority(tmp_path_factory.mktemp("certificates"), "ours")


@pytest.fixture(scope="package")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Whom nobody trusts."""
    return _authority(tmp_path_factory.mktemp("certificates"), "another")
