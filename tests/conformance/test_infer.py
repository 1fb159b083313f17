"""Tensors in, tensors out, in each of the three ways to ask."""

import io
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tritonclient.grpc as triton
from PIL import Image
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import triton_to_np_dtype

from tests.conformance.asking import Ask, images, tensor
from tests.conformance.models import ECHOED, MAX_BATCH_SIZE

SAMPLES: dict[str, list[Any]] = {"BOOL": [True, False], "FP16": [1.5, -2.0], "FP32": [1.25, -7.5], "FP64": [0.1, 1e300]}
SIGNED, UNSIGNED = [-5, 100], [5, 200]


def sample(datatype: str) -> npt.NDArray[Any]:
    dtype = triton_to_np_dtype(datatype)
    values = SAMPLES.get(datatype) or (UNSIGNED if datatype.startswith("U") else SIGNED)
    return np.array([values], dtype)


def probabilities(answer: triton.InferResult) -> npt.NDArray[np.float32]:
    found: npt.NDArray[np.float32] = answer.as_numpy("probabilities")
    return found


def test_rows_are_answered_in_their_order(ask: Ask) -> None:
    rows = images(5)
    together = probabilities(ask("tiny", [tensor("image", rows)]))
    alone = [probabilities(ask("tiny", [tensor("image", row[None])]))[0] for row in rows]
    assert together.shape == (5, 3)
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(together.sum(axis=1), 1, atol=1e-5)


def test_the_answer_names_model_version_and_request(ask: Ask) -> None:
    response = ask("tiny", [tensor("image", images())], request_id="seven").get_response()
    assert (response.model_name, response.model_version, response.id) == ("tiny", "2", "seven")


def test_the_contents_are_always_raw_one_entry_for_each_output(ask: Ask) -> None:
    left, right = np.ones((3, 2), np.float32), np.ones((3, 2), np.int64)
    response = ask("sums", [tensor("left", left), tensor("right", right)]).get_response()
    assert [output.name for output in response.outputs] == ["sum", "difference"]
    assert [len(raw) for raw in response.raw_output_contents] == [24, 24]
    assert not any(output.HasField("contents") for output in response.outputs)


@pytest.mark.parametrize("datatype", ECHOED)
def test_every_datatype_comes_back_unchanged(ask: Ask, datatype: str) -> None:
    array = sample(datatype)
    again = ask(f"echo_{datatype.lower()}", [tensor("x", array, datatype)]).as_numpy("y")
    assert again.dtype == array.dtype
    np.testing.assert_array_equal(again, array)


def test_text_comes_back_unchanged(ask: Ask) -> None:
    array = np.array([["", "häh?"], ["a\0b", "x" * 5000]], object)
    again = ask("echo_bytes", [tensor("x", array)]).as_numpy("y")
    assert [[element.decode() for element in row] for row in again] == array.tolist()


def test_inputs_may_come_in_any_order(ask: Ask) -> None:
    left, right = np.array([[1, 2]], np.float32), np.array([[10, 20]], np.int64)
    answer = ask("sums", [tensor("right", right), tensor("left", left)])
    np.testing.assert_array_equal(answer.as_numpy("difference"), [[-9, -18]])


def test_only_the_outputs_that_are_wanted_come_in_the_order_wanted(ask: Ask) -> None:
    inputs = [tensor("left", np.ones((1, 2), np.float32)), tensor("right", np.ones((1, 2), np.int64))]
    wanted = [triton.InferRequestedOutput("difference"), triton.InferRequestedOutput("sum")]
    response = ask("sums", inputs, outputs=wanted).get_response()
    assert [output.name for output in response.outputs] == ["difference", "sum"]
    response = ask("sums", inputs, outputs=wanted[:1]).get_response()
    assert [output.name for output in response.outputs] == ["difference"]


def test_a_model_without_a_batch_axis_takes_its_whole_shape(ask: Ask) -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(ask("echo_whole", [tensor("x", array)]).as_numpy("y"), array)


@pytest.mark.parametrize("shape", [(1, 1), (4, 7), (0, 3)])
def test_free_axes_take_any_size(ask: Ask, shape: tuple[int, int]) -> None:
    array = np.ones(shape, np.float32)
    np.testing.assert_array_equal(ask("echo_free", [tensor("x", array)]).as_numpy("y"), array)


def test_a_version_may_be_named(ask: Ask) -> None:
    response = ask("tiny", [tensor("image", images())], model_version="2").get_response()
    assert response.model_version == "2"


def test_the_largest_batch_is_taken(ask: Ask) -> None:
    assert len(probabilities(ask("tiny", [tensor("image", images(MAX_BATCH_SIZE))]))) == MAX_BATCH_SIZE


def test_classes_come_as_value_index_and_label_the_largest_first(ask: Ask, conveyor: None) -> None:
    rows = images(2)
    values = probabilities(ask("tiny", [tensor("image", rows)]))
    wanted = [triton.InferRequestedOutput("probabilities", class_count=2)]
    classes = ask("tiny", [tensor("image", rows)], outputs=wanted).as_numpy("probabilities")
    best = np.argsort(-values, axis=1)[:, :2]
    expected = [[f"{row[i]:f}:{i}:class {i}" for i in order] for row, order in zip(values, best, strict=True)]
    assert [[text.decode() for text in row] for row in classes] == expected


def test_more_classes_than_there_are_is_all_of_them(ask: Ask) -> None:
    wanted = [triton.InferRequestedOutput("probabilities", class_count=99)]
    response = ask("tiny", [tensor("image", images(2))], outputs=wanted)
    assert response.as_numpy("probabilities").shape == (2, 3)
    assert response.get_response().outputs[0].datatype == "BYTES"


def test_classes_without_labels_are_value_and_index(ask: Ask) -> None:
    array = np.array([[1.5, 2.5]], np.float32)
    wanted = [triton.InferRequestedOutput("y", class_count=2)]
    classes = ask("echo_fp32", [tensor("x", array)], outputs=wanted).as_numpy("y")
    assert classes.tolist() == [[b"2.500000:1", b"1.500000:0"]]


def test_equal_values_come_in_the_order_of_their_indices(ask: Ask, conveyor: None) -> None:
    wanted = [triton.InferRequestedOutput("y", class_count=2)]
    classes = ask("echo_fp32", [tensor("x", np.array([[4, 4]], np.float32))], outputs=wanted).as_numpy("y")
    assert classes.tolist() == [[b"4.000000:0", b"4.000000:1"]]


@pytest.mark.parametrize("shape", [(2,), (2, 1)])
def test_encoded_images_are_taken_as_bytes(ask: Ask, shape: tuple[int, ...], conveyor: None) -> None:
    rows = images(2)
    encoded = np.array([png(row) for row in rows], object).reshape(shape)
    answers = probabilities(ask("tiny", [tensor("image", encoded)]))
    np.testing.assert_allclose(answers, probabilities(ask("tiny", [tensor("image", rows)])), atol=1e-6)


def test_priority_timeout_and_custom_parameters_are_taken(ask: Ask) -> None:
    options: dict[str, Any] = {"priority": 1, "timeout": 30_000_000, "parameters": {"text": "a", "flag": True, "n": 3}}
    assert len(probabilities(ask("tiny", [tensor("image", images())], **options))) == 1


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_compressed_requests_are_taken(client: triton.InferenceServerClient, algorithm: str) -> None:
    answer = client.infer("tiny", [tensor("image", images())], compression_algorithm=algorithm)
    assert len(probabilities(answer)) == 1


@pytest.mark.parametrize("datatype", [name for name in ECHOED if name != "FP16"])
def test_typed_contents_are_taken_and_answered_raw(url: str, datatype: str) -> None:
    fields = {"BOOL": "bool", "INT64": "int64", "UINT64": "uint64", "FP32": "fp32", "FP64": "fp64"}
    field = fields.get(datatype) or ("uint" if datatype.startswith("U") else "int")
    array = sample(datatype)
    request = service_pb2.ModelInferRequest(model_name=f"echo_{datatype.lower()}")
    given = request.inputs.add(name="x", datatype=datatype, shape=array.shape)
    getattr(given.contents, f"{field}_contents").extend(array.ravel().tolist())
    answer = triton.InferResult(sent(url, request))
    np.testing.assert_array_equal(answer.as_numpy("y"), array)


def test_typed_bytes_are_taken(url: str) -> None:
    request = service_pb2.ModelInferRequest(model_name="echo_bytes")
    request.inputs.add(name="x", datatype="BYTES", shape=(1, 2)).contents.bytes_contents.extend([b"a", b"bc"])
    assert triton.InferResult(sent(url, request)).as_numpy("y").tolist() == [[b"a", b"bc"]]


def sent(url: str, request: service_pb2.ModelInferRequest) -> service_pb2.ModelInferResponse:
    import grpc

    with grpc.insecure_channel(url) as channel:
        return service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(request, timeout=60)


def png(row: npt.NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(row[:, :, 0]).save(buffer, "PNG")
    return buffer.getvalue()
