"""Tokens by group, on both engines and over HTTP: what each opens, what it does not, and when it is no longer known."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2

from conveyor.v1 import classifier_pb2 as pb
from conveyor_client import AccessDenied, Client, Connection
from conveyor_contract.preprocessing import encode_png
from conveyor_server.inference import inference_pb2
from tests.server.doors.secure import IMAGE, status_of
from tests.server.process import ServerProcess, running

INFERENCE, ADMIN, METRICS, UNKNOWN = "inference-secret-1", "admin-secret-1", "metrics-secret-1", "nobodys-secret"
TOKENS = (None, UNKNOWN, INFERENCE, METRICS, ADMIN)
OK = grpc.StatusCode.OK
NO, NOT_THIS = grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED
V2 = "/inference.GRPCInferenceService"

# A method of each group and kind, with a message that any server answers; and how its call ends with each of TOKENS.
CALLS = {
    "classify": ("/conveyor.v1.ClassifierService/Classify", pb.ClassifyRequest(model_name="tiny", images=[IMAGE])),
    "stream": (
        "/conveyor.v1.ClassifierService/ClassifyStream",
        pb.ClassifyStreamRequest(model_name="tiny", image=IMAGE),
    ),
    "index": (f"{V2}/RepositoryIndex", inference_pb2.RepositoryIndexRequest()),
    "statistics": (f"{V2}/ModelStatistics", inference_pb2.ModelStatisticsRequest()),
    "load": (f"{V2}/RepositoryModelLoad", inference_pb2.RepositoryModelLoadRequest(model_name="tiny")),
    "regions": (f"{V2}/SystemSharedMemoryStatus", inference_pb2.SystemSharedMemoryStatusRequest()),
    "log": (f"{V2}/LogSettings", inference_pb2.LogSettingsRequest()),
    "health": ("/grpc.health.v1.Health/Check", health_pb2.HealthCheckRequest()),
    "live": (f"{V2}/ServerLive", inference_pb2.ServerLiveRequest()),
}
OPENS = {
    "classify": (NO, NO, OK, NOT_THIS, OK),
    "stream": (NO, NO, OK, NOT_THIS, OK),
    "index": (NO, NO, OK, NOT_THIS, OK),
    "statistics": (NO, NO, NOT_THIS, OK, OK),
    "load": (NO, NO, NOT_THIS, NOT_THIS, OK),
    "regions": (NO, NO, NOT_THIS, NOT_THIS, OK),
    "log": (NO, NO, NOT_THIS, NOT_THIS, OK),
    "health": (OK, OK, OK, OK, OK),
    "live": (OK, OK, OK, OK, OK),
}
PAGES = {
    "/healthz/ready": (200, 200, 200, 200, 200),
    "/v2/health/ready": (200, 200, 200, 200, 200),
    "/metrics": (401, 401, 403, 200, 200),
    "/v1/models": (401, 401, 200, 403, 200),
    "/v2/models/tiny/stats": (401, 401, 403, 200, 200),
    "/v2/systemsharedmemory/status": (401, 401, 403, 403, 200),
}


class TokenFiles:
    """A file for each group."""

    def __init__(self, folder: Path) -> None:
        self.inference, self.admin, self.metrics = (folder / name for name in ("inference", "admin", "metrics"))
        self.inference.write_text(f"# service A\n{INFERENCE}\n\ninference-secret-2\n")
        self.admin.write_text(ADMIN)
        self.metrics.write_text(f"{METRICS}\n")

    @property
    def flags(self) -> tuple[str, ...]:
        """For `conveyor serve`."""
        files = {"inference": self.inference, "admin": self.admin, "metrics": self.metrics}
        return tuple(word for group, file in files.items() for word in (f"--{group}-token-file", str(file)))


@pytest.fixture(scope="module")
def files(engine: str, tmp_path_factory: pytest.TempPathFactory) -> TokenFiles:
    return TokenFiles(tmp_path_factory.mktemp("tokens"))


@pytest.fixture(scope="module")
def server(engine: str, models: Path, files: TokenFiles) -> Iterator[ServerProcess]:
    flags = ("--engine", engine, "--model-control-mode", "explicit", "--load-model", "tiny", "--log-level", "debug")
    with running(models, *flags, *files.flags, "--log-sample-rate", "1") as process:
        yield process


def code_of(channel: grpc.Channel, name: str, metadata: list[tuple[str, str]]) -> grpc.StatusCode:
    """How the call ends; what comes back is not looked at."""
    path, request = CALLS[name]
    method: Any = channel.stream_stream(path)
    call = method(iter([request.SerializeToString()]), metadata=metadata, timeout=20)
    try:
        list(call)
    except grpc.RpcError as error:
        for token in TOKENS:
            assert token is None or token not in str(error.details())
        return error.code()
    return OK


def bearer(token: str | None) -> list[tuple[str, str]]:
    return [] if token is None else [("authorization", f"Bearer {token}")]


@pytest.mark.parametrize("name", CALLS)
def test_each_token_opens_its_group_and_no_other(server: ServerProcess, name: str) -> None:
    assert tuple(code_of(server.channel, name, bearer(token)) for token in TOKENS) == OPENS[name]


def test_the_same_over_http(server: ServerProcess) -> None:
    found = {
        page: tuple(
            status_of(server.http_address, None, page, **({} if token is None else {"X-Api-Key": token}))
            for token in TOKENS
        )
        for page in PAGES
    }
    assert found == PAGES


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("authorization", INFERENCE),
        ("authorization", f"Basic {INFERENCE}"),
        ("authorization", "Bearer "),
        ("authorization", f"Bearer {INFERENCE[:-1]}"),
        ("authorization", f"Bearer {INFERENCE},{INFERENCE}"),
        ("x-api-key", f"{INFERENCE}x"),
        ("x-api-key", "# service A"),
        ("x-api-key", ""),
        ("x-api-key-bin", INFERENCE),
        ("token", INFERENCE),
    ],
)
def test_what_only_looks_like_a_token_opens_nothing(server: ServerProcess, key: str, value: str) -> None:
    metadata: list[tuple[str, str]] = [(key, value.encode() if key.endswith("-bin") else value)]  # type: ignore[list-item]  # bytes for -bin
    assert code_of(server.channel, "classify", metadata) is NO


@pytest.mark.parametrize(("key", "value"), [("authorization", f"bearer {INFERENCE}"), ("x-api-key", INFERENCE)])
def test_either_header_opens(server: ServerProcess, key: str, value: str) -> None:
    assert code_of(server.channel, "classify", [(key, value)]) is OK


def test_a_token_is_looked_at_before_the_message(server: ServerProcess) -> None:
    classify: Any = server.channel.unary_unary(CALLS["classify"][0])
    with pytest.raises(grpc.RpcError) as refused:
        classify(b"\xff\xff no message", timeout=10)
    assert refused.value.code() is NO


def test_golden_samples_are_for_administrators(engine: str, models: Path, files: TokenFiles) -> None:
    request = pb.GetModelRequest(model_name="tiny", include_golden_samples=True).SerializeToString()
    with running(models, "--engine", engine, "--expose-golden-samples", *files.flags) as server:
        call: Any = server.channel.unary_unary("/conveyor.v1.ClassifierService/GetModel")
        with pytest.raises(grpc.RpcError) as refused:
            call(request, metadata=bearer(INFERENCE), timeout=10)
        assert refused.value.code() is NOT_THIS
        answer = pb.GetModelResponse.FromString(call(request, metadata=bearer(ADMIN), timeout=10))
        assert answer.golden_samples.samples


def test_tokens_change_while_the_server_runs_and_a_client_follows(server: ServerProcess, files: TokenFiles) -> None:
    own = files.inference.parent / "of-a-client"
    own.write_text("inference-secret-2")
    connection = Connection(token=own)
    image = encode_png(np.zeros((8, 8, 1), np.uint8))
    with Client(server.address, connection=connection, max_attempts=1) as client:
        assert client.classify(image, model="tiny").label
        files.inference.write_text(f"{INFERENCE}\ninference-secret-3\n")
        server.wait_for_log("the changed tokens will be used")
        with pytest.raises(AccessDenied):
            client.classify(image, model="tiny")
        own.write_text("inference-secret-3")
        assert client.classify(image, model="tiny").label

        # A file that holds nothing is a mistake, not a wish to send everybody away.
        files.inference.write_text("\n")
        server.wait_for_log("nothing changes: the token file .* holds no token")
        assert client.classify(image, model="tiny").label
    files.inference.write_text(f"{INFERENCE}\n")


def test_the_log_never_holds_a_token(server: ServerProcess) -> None:
    code_of(server.channel, "classify", bearer(UNKNOWN))
    code_of(server.channel, "classify", bearer(INFERENCE))
    time.sleep(0.2)
    assert "inference_token_file=" in server.log
    assert not [token for token in (INFERENCE, ADMIN, METRICS, UNKNOWN) if token in server.log]


def test_a_token_comes_from_the_environment_too(engine: str, models: Path) -> None:
    with running(models, "--engine", engine, environment={"CONVEYOR_SERVE_ADMIN_TOKEN": ADMIN}) as server:
        assert code_of(server.channel, "log", bearer(None)) is NO
        assert code_of(server.channel, "log", bearer(ADMIN)) is OK
        assert code_of(server.channel, "classify", bearer(None)) is OK
        assert ADMIN not in server.log


@pytest.mark.parametrize("flags", [("--host", "0.0.0.0"), ("--http-host", "0.0.0.0")])
def test_administration_is_closed_on_an_open_network(engine: str, models: Path, flags: tuple[str, ...]) -> None:
    with running(models, "--engine", engine, "--model-control-mode", "explicit", "--load-model", "*", *flags) as server:
        for name in ("load", "regions", "log"):
            assert code_of(server.channel, name, []) is NOT_THIS
        assert code_of(server.channel, "classify", []) is OK
        assert status_of(server.http_address, None, "/v2/systemsharedmemory/status") == 403
        assert status_of(server.http_address, None, "/metrics") == 200
