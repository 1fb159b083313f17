"""Requests that are wrong in themselves are counted as failures of the model that they were for, on every way in."""

import http.client
import json
from collections.abc import Callable, Iterable

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from conveyor.v1 import classifier_pb2 as pb
from tests.server.metrics.pages import Page
from tests.server.process import ServerProcess

TINY = {"model": "tiny", "version": "1"}
WRONG_SHAPE = (1, 7, 7, 1)


def wrong_tensor() -> triton.InferInput:
    tensor = triton.InferInput("image", WRONG_SHAPE, "UINT8")
    tensor.set_data_from_numpy(np.zeros(WRONG_SHAPE, np.uint8))
    return tensor


def infer(server: ServerProcess) -> None:
    with triton.InferenceServerClient(server.address) as client, pytest.raises(InferenceServerException) as refused:
        client.infer("tiny", [wrong_tensor()], client_timeout=10)
    assert refused.value.status() == "StatusCode.INVALID_ARGUMENT"


def stream_infer(server: ServerProcess) -> None:
    answers: list[Exception | None] = []
    with triton.InferenceServerClient(server.address) as client:
        client.start_stream(lambda result, error: answers.append(error))
        client.async_stream_infer("tiny", [wrong_tensor()])
        client.stop_stream()
    assert [type(error) for error in answers] == [InferenceServerException]


def post(server: ServerProcess, path: str, body: bytes) -> None:
    connection = http.client.HTTPConnection(server.http_address, timeout=30)
    connection.request("POST", path, body)
    assert connection.getresponse().status == 400
    connection.close()


def rest_infer(server: ServerProcess) -> None:
    """The shape is wrong for the model."""
    tensor = {"name": "image", "datatype": "UINT8", "shape": WRONG_SHAPE, "data": [0] * 49}
    post(server, "/v2/models/tiny/infer", json.dumps({"inputs": [tensor]}).encode())


def rest_infer_of_nonsense(server: ServerProcess) -> None:
    """It never becomes a message."""
    post(server, "/v2/models/tiny/infer", b"{]")


def classify_nothing(server: ServerProcess) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        server.stub.Classify(pb.ClassifyRequest(model_name="tiny"), timeout=10)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def rest_classify_nothing(server: ServerProcess) -> None:
    post(server, "/v1/classify?model=tiny", b"")


def counts(server: ServerProcess) -> Iterable[float]:
    page = Page(server)
    with triton.InferenceServerClient(server.address) as client:
        statistics = client.get_inference_statistics("tiny").model_stats[0].inference_stats
    return (
        page.value("conveyor_requests_total", **TINY, outcome="invalid_argument"),
        page.value("nv_inference_request_failure", **TINY, reason="OTHER"),
        statistics.fail.count,
    )


@pytest.mark.parametrize(
    "ask",
    [infer, stream_infer, rest_infer, rest_infer_of_nonsense, classify_nothing, rest_classify_nothing],
    ids=lambda ask: ask.__name__,
)
def test_a_request_that_is_wrong_in_itself_is_counted_once(
    server: ServerProcess, ask: Callable[[ServerProcess], None]
) -> None:
    before = counts(server)
    for _ in range(5):
        ask(server)
    assert [now - then for now, then in zip(counts(server), before, strict=True)] == [5, 5, 5]
