"""The same requests over gRPC and over REST get the same answers, and the same sentences where there is none."""

from typing import Any

import grpc
import numpy as np
import numpy.typing as npt
import pytest
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from conveyor.v1 import classifier_pb2 as pb
from conveyor_server.http.rest.statuses import HTTP_STATUSES
from conveyor_server.statuses import Code
from tests.conformance.asking import images
from tests.server.process import ServerProcess
from tests.server.rest.asking import get, infer_body, post

Array = npt.NDArray[Any]


def body_of(arrays: dict[str, Array], **more: Any) -> dict[str, Any]:
    tensors = [infer_body(n, np_to_triton_dtype(a.dtype), list(a.shape), a.tolist()) for n, a in arrays.items()]
    return {"inputs": [tensor["inputs"][0] for tensor in tensors], **more}


def over_grpc(server: ServerProcess, model: str, arrays: dict[str, Array], **options: Any) -> triton.InferResult:
    inputs = []
    for name, array in arrays.items():
        inputs.append(triton.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype)))
        inputs[-1].set_data_from_numpy(array)
    with triton.InferenceServerClient(server.address) as client:
        return client.infer(model, inputs, **options)


@pytest.mark.parametrize(
    ("model", "arrays", "output"),
    [
        ("tiny", {"image": images(5)}, "probabilities"),
        ("sums", {"right": np.array([[3, 4]]), "left": np.array([[1, np.inf]], np.float32)}, "difference"),
        ("echo_fp16", {"x": np.array([[0.1, np.nan]], np.float16)}, "y"),
        ("picking", {"index": np.array([2])}, "value"),
    ],
)
def test_the_same_tensors(server: ServerProcess, model: str, arrays: dict[str, Array], output: str) -> None:
    expected = over_grpc(server, model, arrays)
    answer = post(server.http_address, f"/v2/models/{model}/infer", body_of(arrays)).json()
    assert answer["model_version"] == expected.get_response().model_version
    found = next(each for each in answer["outputs"] if each["name"] == output)
    array = expected.as_numpy(output)
    assert (found["shape"], found["datatype"]) == (list(array.shape), np_to_triton_dtype(array.dtype))
    # The same bits: what one wire says of a number, the other says too.
    np.testing.assert_allclose(np.array(found["data"], array.dtype), array.ravel(), rtol=1e-6)


@pytest.mark.parametrize(
    ("model", "arrays", "options"),
    [
        ("nothing", {"x": np.zeros(1, np.float32)}, {}),
        ("tiny", {"image": images()}, {"model_version": "9"}),
        ("tiny", {"image": images()}, {"model_version": "x"}),
        ("tiny", {"image": images(9)}, {}),
        ("tiny", {"image": images().astype(np.float32)}, {}),
        ("tiny", {"image": np.zeros((1, 8, 8), np.uint8)}, {}),
        ("tiny", {"other": images()}, {}),
        ("sums", {"left": np.zeros((1, 2), np.float32)}, {}),
        ("picking", {"index": np.array([7])}, {}),
        ("tiny", {"image": images()}, {"parameters": {"sequence_id": 3}}),
    ],
)
def test_the_same_errors(server: ServerProcess, model: str, arrays: dict[str, Array], options: dict[str, Any]) -> None:
    parameters = options.get("parameters", {})
    sent = {"model_version": options.get("model_version", ""), "sequence_id": parameters.get("sequence_id", 0)}
    with pytest.raises(InferenceServerException) as caught:
        over_grpc(server, model, arrays, **sent)
    version = f"/versions/{options['model_version']}" if "model_version" in options else ""
    answer = post(server.http_address, f"/v2/models/{model}{version}/infer", body_of(arrays, parameters=parameters))
    code = Code[caught.value.status().removeprefix("StatusCode.")]
    assert (answer.status, answer.json()["error"]) == (HTTP_STATUSES[code], caught.value.message())


@pytest.mark.parametrize("top_k", [0, 1, 3, 7])
def test_the_same_labels(server: ServerProcess, picture: bytes, top_k: int) -> None:
    request = pb.ClassifyRequest(model_name="tiny", top_k=top_k, images=[pb.Image(encoded=picture)], request_id="r")
    expected = server.stub.Classify(request)
    path = f"/v1/classify?model=tiny&top_k={top_k}&request_id=r"
    answer = post(server.http_address, path, picture, Content_Type="image/png").json()
    assert answer["request_id"] == "r"
    assert answer["file_digest"] == expected.file_digest
    (found,) = answer["results"]
    wanted = expected.results[0].answer.predictions
    assert [(p["label"], p["index"]) for p in found["predictions"]] == [(p.label, p.index) for p in wanted]
    np.testing.assert_allclose(
        [p["probability"] for p in found["predictions"]], [p.probability for p in wanted], rtol=1e-6
    )


@pytest.mark.parametrize(
    ("query", "image"),
    [
        ("model=nothing", None),
        ("model=tiny&version=9", None),
        ("model=tiny&version=x", None),
        ("model=tiny", b"no picture"),
    ],
)
def test_the_same_errors_for_images(server: ServerProcess, picture: bytes, query: str, image: bytes | None) -> None:
    asked = dict(pair.split("=") for pair in query.split("&"))
    request = pb.ClassifyRequest(
        model_name=asked["model"], model_version=asked.get("version", ""), images=[pb.Image(encoded=image or picture)]
    )
    with pytest.raises(grpc.RpcError) as caught:
        server.stub.Classify(request)
    answer = post(server.http_address, f"/v1/classify?{query}", image or picture)
    assert answer.status == HTTP_STATUSES[Code(caught.value.code().value[0])]
    assert answer.json() == {"error": caught.value.details()}


def test_the_same_contract(server: ServerProcess) -> None:
    expected = server.stub.GetModel(pb.GetModelRequest(model_name="tiny"))
    answer = get(server.http_address, "/v1/models/tiny").json()
    assert answer["contract"]["labels"] == list(expected.contract.labels)
    assert answer["status"]["file_digest"] == expected.status.file_digest
    assert get(server.http_address, "/v1/models/tiny/versions/1").json() == answer
    listed = get(server.http_address, "/v1/models?ready=true").json()["models"]
    assert [each["model_name"] for each in listed] == [
        each.model_name for each in server.stub.ListModels(pb.ListModelsRequest(ready_only=True)).models
    ]
