"""Names and configurations of many megabytes: refused in a sentence, and no worker suffers. On each engine."""

from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from google.protobuf.message import Message

from conveyor_server.inference import inference_pb2 as pb
from conveyor_server.shortening import MAX_SENTENCE
from conveyor_server.workers.fellows import MAX_PASSED_ON
from tests.models import write_tiny_model
from tests.server.envoy.asking import is_right, request
from tests.server.envoy.test_workers import EXPLICIT, WORKERS, workers_of
from tests.server.process import ServerProcess, running

# Bytes: in base64 more than a line between two processes may have, and less than a message may have.
LENGTH = 51 * 1024 * 1024


def load(long: str) -> Message:
    config = pb.ModelRepositoryParameter(string_param=long)
    return pb.RepositoryModelLoadRequest(model_name="tiny", parameters={"config": config})


def log_settings(long: str) -> Message:
    setting = pb.LogSettingsRequest.SettingValue(string_param=long)
    return pb.LogSettingsRequest(settings={"log_file": setting})


FOR_ALL_WORKERS: dict[str, Callable[[str], Message]] = {
    "ModelStatistics": lambda long: pb.ModelStatisticsRequest(name=long),
    "RepositoryModelLoad": load,
    "RepositoryModelUnload": lambda long: pb.RepositoryModelUnloadRequest(model_name=long),
    "SystemSharedMemoryRegister": lambda long: pb.SystemSharedMemoryRegisterRequest(name=long, key="/x", byte_size=1),
    "LogSettings": log_settings,
}


@pytest.fixture(scope="module")
def workers(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Several of them; at the end they are the same as at the beginning, and serve."""
    models: Path = tmp_path_factory.mktemp("models")
    write_tiny_model(models, "tiny")
    with running(models, "--engine", engine, "--workers", str(WORKERS), *EXPLICIT) as server:
        before = workers_of(server)
        yield server
        assert workers_of(server) == before
        assert is_right(models, 0, server.stub.Classify(request(0), timeout=20))


def refused(server: ServerProcess, method: str, message: Message) -> tuple[grpc.StatusCode, str]:
    ask = server.channel.unary_unary(
        f"/inference.GRPCInferenceService/{method}", request_serializer=bytes, response_deserializer=bytes
    )
    with pytest.raises(grpc.RpcError) as error:
        ask(message.SerializeToString(), timeout=60)
    return error.value.code(), error.value.details() or ""


@pytest.mark.parametrize("method", FOR_ALL_WORKERS)
def test_what_all_workers_would_have_to_be_told_is_bounded(workers: ServerProcess, method: str) -> None:
    code, details = refused(workers, method, FOR_ALL_WORKERS[method]("x" * LENGTH))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert f"concerns all workers, and may have {MAX_PASSED_ON} bytes; it has 5" in details


def test_an_error_quotes_only_the_beginning_of_a_long_name(workers: ServerProcess) -> None:
    code, details = refused(workers, "ModelReady", pb.ModelReadyRequest(name="x" * LENGTH))
    assert code is grpc.StatusCode.NOT_FOUND
    assert details.startswith("Request for unknown model: 'xxx")
    assert len(details) <= MAX_SENTENCE
