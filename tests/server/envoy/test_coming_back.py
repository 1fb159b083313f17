"""A worker that takes another's place although not all is as it was before. With others, and alone behind Envoy."""

import os
import shutil
import signal
import time
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import pytest

from conveyor_server.inference import inference_pb2 as pb
from tests.models import write_tiny_model
from tests.server.envoy.asking import request
from tests.server.envoy.conftest import needs
from tests.server.envoy.test_workers import EXPLICIT, workers_of
from tests.server.process import ServerProcess, running

POLL = ("--model-control-mode", "poll", "--repository-poll-seconds", "0.2")
ALONE = ("--engine", "envoy")
BACK = "another worker serves in its place"


@pytest.fixture(params=["envoy 1", "grpcio 2"])
def flags(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """Flags of servers with a parent."""
    engine, workers = request.param.split()
    needs(engine)
    return ("--engine", engine, "--workers", workers)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Holds `tiny`, written a while ago."""
    write(tmp_path, "tiny", 1)
    return tmp_path


def write(repository: Path, name: str, version: int) -> None:
    settle(write_tiny_model(repository, name, version))


def settle(file: Path) -> None:
    os.utime(file, (time.time() - 60, time.time() - 60))


def kill_one(server: ServerProcess) -> None:
    """Returns once another serves in its place."""
    before = server.log.count(BACK)
    os.kill(workers_of(server)[0], signal.SIGKILL)
    server.wait_for_log(BACK, before + 1)


def test_a_broken_model_in_a_polled_repository_keeps_no_worker_away(flags: tuple[str, ...], repository: Path) -> None:
    with running(repository, *flags, *POLL) as server:
        bad = repository / "bad" / "1" / "model.onnx"
        bad.parent.mkdir(parents=True)
        bad.write_bytes(b"no model")
        settle(bad)
        server.wait_for_log("cannot serve model=bad")
        kill_one(server)
        assert server.wait_until_answered(request(0)).model_version == "1"


def test_shared_memory_that_has_gone_keeps_no_worker_away(flags: tuple[str, ...], repository: Path) -> None:
    with running(repository, *flags) as server:
        memory = SharedMemory(create=True, size=8)
        register = server.channel.unary_unary(
            "/inference.GRPCInferenceService/SystemSharedMemoryRegister",
            request_serializer=pb.SystemSharedMemoryRegisterRequest.SerializeToString,
            response_deserializer=pb.SystemSharedMemoryRegisterResponse.FromString,
        )
        register(pb.SystemSharedMemoryRegisterRequest(name="gone", key=memory.name, byte_size=8), timeout=20)
        memory.close()
        memory.unlink()
        kill_one(server)
        server.wait_for_log("cannot be done again path=.*Register: Unable to open shared memory region")
        server.wait_until_answered(request(0))


@pytest.mark.usefixtures("envoy")
def test_a_worker_alone_serves_what_there_is_when_its_version_has_gone(repository: Path) -> None:
    with running(repository, *ALONE, *EXPLICIT) as server:
        write(repository, "tiny", 2)
        shutil.rmtree(repository / "tiny" / "1")
        kill_one(server)
        server.wait_for_log("model=tiny is loaded as the version policy says, .* wants none of its")
        assert server.wait_until_answered(request(0)).model_version == "2"
