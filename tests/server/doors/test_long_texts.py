"""Names and numbers as long as a message may be: one sentence that names them, and nobody else waits."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2

from conveyor.v1 import admin_pb2
from conveyor.v1 import classifier_pb2 as pb
from conveyor_server.inference import inference_pb2
from tests.server.doors.secure import IMAGE, REQUEST
from tests.server.http.asking import ask
from tests.server.process import ServerProcess, running

# Characters.
LONG = 20_000_000
MOST = 1500
TEXT = "x" * LONG
# More than Python reads as a number.
DIGITS = "1" * 5000


@pytest.fixture(scope="module")
def server(engine: str, models: Path) -> Iterator[ServerProcess]:
    flags = ("--log-format", "json", "--log-sample-rate", "1", "--model-control-mode", "explicit", "--load-model", "*")
    with running(models, "--engine", engine, *flags) as process:
        yield process


def infer(**fields: Any) -> inference_pb2.ModelInferRequest:
    return inference_pb2.ModelInferRequest(**{"model_name": "tiny", **fields})


def with_input(**fields: Any) -> inference_pb2.ModelInferRequest:
    request = infer()
    request.inputs.add(**{"name": "image", "datatype": "UINT8", "shape": [1, 8, 8, 1], **fields})
    return request


def with_parameter(name: str) -> inference_pb2.ModelInferRequest:
    request = infer()
    request.parameters[name].string_param = "x"
    return request


CONVEYOR, INFERENCE = "conveyor.v1.ClassifierService", "inference.GRPCInferenceService"
REFUSED = {
    "a model": (f"{CONVEYOR}/Classify", pb.ClassifyRequest(model_name=TEXT, images=[IMAGE])),
    "a version": (f"{CONVEYOR}/GetModel", pb.GetModelRequest(model_name="tiny", model_version=TEXT)),
    "a version in digits": (f"{CONVEYOR}/GetModel", pb.GetModelRequest(model_name="tiny", model_version=DIGITS)),
    "a service": ("grpc.health.v1.Health/Check", health_pb2.HealthCheckRequest(service=TEXT)),
    "a model of the protocol": (f"{INFERENCE}/ModelInfer", infer(model_name=TEXT)),
    "its version": (f"{INFERENCE}/ModelInfer", infer(model_version=TEXT)),
    "its version in digits": (f"{INFERENCE}/ModelInfer", infer(model_version=DIGITS)),
    "an id": (f"{INFERENCE}/ModelInfer", infer(id=TEXT)),
    "an input": (f"{INFERENCE}/ModelInfer", with_input(name=TEXT)),
    "a datatype": (f"{INFERENCE}/ModelInfer", with_input(datatype=TEXT)),
    "a shape": (f"{INFERENCE}/ModelInfer", with_input(shape=[1] * 1_000_000)),
    "a parameter": (f"{INFERENCE}/ModelInfer", with_parameter("triton_" + TEXT)),
    "statistics": (f"{INFERENCE}/ModelStatistics", inference_pb2.ModelStatisticsRequest(name=TEXT)),
    "a load": (f"{INFERENCE}/RepositoryModelLoad", inference_pb2.RepositoryModelLoadRequest(model_name=TEXT)),
    "a region": (
        f"{INFERENCE}/SystemSharedMemoryRegister",
        inference_pb2.SystemSharedMemoryRegisterRequest(name=TEXT, key=TEXT, byte_size=1),
    ),
    "a version to promote": (
        "conveyor.v1.AdminService/Promote",
        admin_pb2.PromoteRequest(model_name="tiny", model_version=DIGITS),
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_long_text_is_refused_in_a_short_sentence(server: ServerProcess, what: str) -> None:
    path, request = REFUSED[what]
    before = len(server.log)
    with pytest.raises(grpc.RpcError) as refused:
        send(server, path, request)
    assert refused.value.code() in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT), refused.value
    assert len(refused.value.details() or "") < MOST
    # The line of this call is there once that of the next one is.
    send(server, f"{CONVEYOR}/Classify", REQUEST)
    server.wait_for_log(r"\"code\": \"OK\"[^\n]*\n(?s:.*)\Z")
    lines = server.log[before:].splitlines()
    assert all(len(line) < 3 * MOST for line in lines)
    assert not any("cause" in json.loads(line) for line in lines)


def send(server: ServerProcess, path: str, request: Message) -> bytes:
    call: Any = server.channel.unary_unary(f"/{path}")
    answer: bytes = call(request.SerializeToString(), timeout=60)
    return answer


@pytest.mark.parametrize(
    ("verb", "path", "headers", "status"),
    [
        ("GET", f"/v1/models/tiny/versions/{DIGITS}", {}, 400),
        ("GET", f"/v1/models/{'x' * 5000}", {}, 404),
        ("GET", f"/{'x' * 5000}", {}, 404),
        ("GET", f"/v2?{'x' * 5000}=1", {}, 400),
        ("POST", "/v2/models/tiny/infer", {"Inference-Header-Content-Length": "0" * 5000}, 400),
        ("POST", "/v2/models/tiny/infer", {"Inference-Header-Content-Length": DIGITS}, 400),
        ("POST", "/v2/models/tiny/infer", {"Conveyor-Timeout-Ms": DIGITS}, 400),
        ("POST", "/v2/models/tiny/infer", {"Content-Encoding": "x" * 5000}, 415),
    ],
)
def test_over_http_too(server: ServerProcess, verb: str, path: str, headers: dict[str, str], status: int) -> None:
    answer = ask(server.http_address, path, verb, **headers)
    assert answer.status == status, answer.text[:MOST]
    assert len(answer.json()["error"]) < MOST
