"""A real server on each engine, whose REST is asked; and a scripted application without one."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto

from conveyor_contract.preprocessing import encode_png
from tests.conformance.models import write_echo, write_picking, write_slow, write_sums
from tests.models import write_tiny_model
from tests.server.envoy.conftest import needs
from tests.server.ports import one_port
from tests.server.process import ServerProcess, running

MAX_MESSAGE_BYTES = 2_000_000
FLAGS = ("--model-control-mode", "explicit", "--load-model", "*", "--max-message-bytes", str(MAX_MESSAGE_BYTES))


@pytest.fixture(scope="package", params=["grpcio", "envoy"])
def engine(request: pytest.FixtureRequest) -> str:
    """The engine's name."""
    name: str = request.param
    needs(name)
    return name


@pytest.fixture(scope="package")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`tiny` (images), `sums` (two inputs), `slow`, `picking` and some that echo."""
    folder: Path = tmp_path_factory.mktemp("repository")
    write_tiny_model(folder, "tiny")
    write_sums(folder)
    write_slow(folder)
    write_picking(folder)
    write_echo(folder, "echo_bytes", TensorProto.STRING, ["batch", 2])
    write_echo(folder, "echo_fp32", TensorProto.FLOAT, ["batch", 2])
    write_echo(folder, "echo_fp16", TensorProto.FLOAT16, ["batch", 2])
    write_echo(folder, "echo_free", TensorProto.FLOAT, ["n", "m"])
    return folder


@pytest.fixture(scope="package", params=["grpcio", "envoy", "one port"])
def ways(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """Flags: an HTTP port of its own beside each engine, and Envoy's port for both."""
    way: str = request.param
    needs("grpcio" if way == "grpcio" else "envoy")
    return one_port() if way == "one port" else ("--engine", way)


@pytest.fixture(scope="package")
def server(repository: Path, ways: tuple[str, ...]) -> Iterator[ServerProcess]:
    """Serves the repository."""
    with running(repository, *FLAGS, *ways) as process:
        yield process


@pytest.fixture
def http(server: ServerProcess) -> str:
    """Its HTTP address, host:port."""
    return server.http_address


@pytest.fixture(scope="session")
def picture() -> bytes:
    """A PNG that `tiny` takes as it is."""
    return encode_png(np.random.default_rng(0).integers(0, 256, (8, 8, 1), dtype=np.uint8))
