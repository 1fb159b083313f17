"""The error table: each row by its code and its sentence, in each of the three ways to ask. A stream has no code."""

from collections.abc import Callable

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
from tritonclient.grpc import service_pb2, service_pb2_grpc

from tests.conformance.asking import Ask, check, images, tensor
from tests.conformance.models import MAX_BATCH_SIZE

ID = "[request id: seven] "


def test_an_unknown_model(ask: Ask) -> None:
    check(
        lambda: ask("nobody", [tensor("image", images())]),
        "NOT_FOUND",
        "Request for unknown model: 'nobody' is not found",
    )


def test_an_unknown_version(ask: Ask) -> None:
    check(
        lambda: ask("tiny", [tensor("image", images())], model_version="9"),
        "NOT_FOUND",
        "Request for unknown model: 'tiny' version 9 is not found",
    )


def test_a_model_of_which_no_version_serves(ask: Ask) -> None:
    check(
        lambda: ask("broken", [tensor("image", images())]),
        "NOT_FOUND",
        "Request for unknown model: 'broken' has no available versions",
    )


def test_a_version_that_does_not_serve(ask: Ask, conveyor: None) -> None:
    check(
        lambda: ask("tiny", [tensor("image", images())], model_version="1"),
        "UNAVAILABLE",
        "Request for unknown model: 'tiny' version 1 is not at ready state",
    )


@pytest.mark.parametrize("version", ["latest", "-1", "1.0", "0"])
def test_a_version_that_is_no_number(ask: Ask, version: str, conveyor: None) -> None:
    check(
        lambda: ask("tiny", [tensor("image", images())], model_version=version),
        "INVALID_ARGUMENT",
        f"{ID}failed to get model version from specified version string '{version}'".replace("seven", "<id_unknown>"),
    )


def test_another_shape(ask: Ask) -> None:
    rows = np.zeros((1, 8, 9, 1), np.uint8)
    check(
        lambda: ask("tiny", [tensor("image", rows)], request_id="seven"),
        "INVALID_ARGUMENT",
        f"{ID}unexpected shape for input 'image' for model 'tiny'. Expected [-1,8,8,1], got [1,8,9,1]",
    )


@pytest.mark.parametrize("shape", [(), (8, 8, 1), (0, 8, 8, 1)])
def test_a_shape_without_rows(ask: Ask, shape: tuple[int, ...]) -> None:
    check(lambda: ask("tiny", [tensor("image", np.zeros(shape, np.uint8))], request_id="seven"), "INVALID_ARGUMENT", ID)


def test_another_datatype(ask: Ask, conveyor: None) -> None:
    rows = images().astype(np.float32)
    check(
        lambda: ask("tiny", [tensor("image", rows)], request_id="seven"),
        "INVALID_ARGUMENT",
        f"{ID}inference input 'image' data-type is 'FP32', but model 'tiny' expects 'UINT8'",
    )


def test_too_large_a_batch(ask: Ask) -> None:
    rows = images(MAX_BATCH_SIZE + 1)
    check(
        lambda: ask("tiny", [tensor("image", rows)], request_id="seven"),
        "INVALID_ARGUMENT",
        f"{ID}inference request batch-size must be <= {MAX_BATCH_SIZE} for 'tiny'",
    )


def test_an_input_that_the_model_does_not_have(ask: Ask) -> None:
    check(
        lambda: ask("tiny", [tensor("picture", images())], request_id="seven"),
        "INVALID_ARGUMENT",
        f"{ID}unexpected inference input 'picture' for model 'tiny'",
    )


def test_a_missing_input(ask: Ask) -> None:
    left = tensor("left", np.ones((1, 2), np.float32))
    check(
        lambda: ask("sums", [left], request_id="seven"),
        "INVALID_ARGUMENT",
        f"{ID}expected 2 inputs",
    )


def test_no_input_at_all(ask: Ask) -> None:
    check(lambda: ask("tiny", [], request_id="seven"), "INVALID_ARGUMENT", f"{ID}expected 1 inputs")


def test_an_input_given_twice(ask: Ask) -> None:
    twice = [tensor("image", images()), tensor("image", images())]
    check(lambda: ask("tiny", twice, request_id="seven"), "INVALID_ARGUMENT", f"{ID}expected 1 inputs")


def test_inputs_of_different_batch_sizes(ask: Ask) -> None:
    inputs = [tensor("left", np.ones((1, 2), np.float32)), tensor("right", np.ones((2, 2), np.int64))]
    check(lambda: ask("sums", inputs, request_id="seven"), "INVALID_ARGUMENT", ID)


def test_an_output_that_the_model_does_not_have(ask: Ask) -> None:
    wanted = [triton.InferRequestedOutput("logits")]
    check(
        lambda: ask("tiny", [tensor("image", images())], outputs=wanted, request_id="seven"),
        "INVALID_ARGUMENT",
        f"{ID}unexpected inference output 'logits' for model 'tiny'",
    )


def test_classes_of_an_output_that_has_none(ask: Ask) -> None:
    wanted = [triton.InferRequestedOutput("y", class_count=1)]
    inputs = [tensor("x", np.array([["a", "b"]], object))]
    check(
        lambda: ask("echo_bytes", inputs, outputs=wanted, request_id="seven"), "INVALID_ARGUMENT", f"{ID}class result"
    )


def test_an_image_that_cannot_be_read(ask: Ask, conveyor: None) -> None:
    encoded = np.array([b"no image"], object)
    check(
        lambda: ask("tiny", [tensor("image", encoded)], request_id="seven"),
        "INVALID_ARGUMENT",
        f"{ID}the image cannot be read",
    )


def test_a_sequence(ask: Ask) -> None:
    check(
        lambda: ask("tiny", [tensor("image", images())], sequence_id=5, sequence_start=True, request_id="seven"),
        "UNIMPLEMENTED",
        "parameter 'sequence_",
    )


def test_a_model_that_fails_while_it_runs(ask: Ask, conveyor: None) -> None:
    check(lambda: ask("picking", [tensor("index", np.array([7]))]), "INTERNAL", "the model failed")
    answer = ask("picking", [tensor("index", np.array([1]))])
    assert answer.as_numpy("value").tolist() == [20]


Change = Callable[[service_pb2.ModelInferRequest], None]


def _no_data(request: service_pb2.ModelInferRequest) -> None:
    request.ClearField("raw_input_contents")


def _short_data(request: service_pb2.ModelInferRequest) -> None:
    request.raw_input_contents[0] = bytes(63)


def _data_for_nobody(request: service_pb2.ModelInferRequest) -> None:
    request.raw_input_contents.append(b"1")


def _both_forms(request: service_pb2.ModelInferRequest) -> None:
    request.inputs[0].contents.uint_contents.extend(range(64))


def _foreign_form(request: service_pb2.ModelInferRequest) -> None:
    request.ClearField("raw_input_contents")
    request.inputs[0].contents.fp32_contents.extend([0.0] * 64)


def _negative_axis(request: service_pb2.ModelInferRequest) -> None:
    request.inputs[0].shape[0] = -1


def _reserved_parameter(request: service_pb2.ModelInferRequest) -> None:
    request.parameters["triton_unknown"].bool_param = True


def _timeout_in_words(request: service_pb2.ModelInferRequest) -> None:
    request.parameters["timeout"].string_param = "soon"


def _no_classes(request: service_pb2.ModelInferRequest) -> None:
    request.outputs.add(name="probabilities").parameters["classification"].int64_param = 0


def _unknown_region(request: service_pb2.ModelInferRequest) -> None:
    request.ClearField("raw_input_contents")
    request.inputs[0].parameters["shared_memory_region"].string_param = "nowhere"
    request.inputs[0].parameters["shared_memory_byte_size"].int64_param = 64


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        (_no_data, grpc.StatusCode.INVALID_ARGUMENT, f"{ID}unable to find data for input tensor 'image'"),
        (_short_data, grpc.StatusCode.INVALID_ARGUMENT, f"{ID}unexpected total byte size 63 for input 'image'"),
        (_data_for_nobody, grpc.StatusCode.INVALID_ARGUMENT, ID),
        (_both_forms, grpc.StatusCode.INVALID_ARGUMENT, f"{ID}contents field must not be specified"),
        (_foreign_form, grpc.StatusCode.INVALID_ARGUMENT, f"{ID}input 'image'"),
        (_negative_axis, grpc.StatusCode.INVALID_ARGUMENT, f"{ID}unexpected shape for input 'image'"),
        (_reserved_parameter, grpc.StatusCode.INVALID_ARGUMENT, f"{ID}parameter 'triton_unknown'"),
        (_timeout_in_words, grpc.StatusCode.INVALID_ARGUMENT, f"{ID}parameter 'timeout'"),
        (_no_classes, grpc.StatusCode.INVALID_ARGUMENT, f"{ID}output 'probabilities'"),
        (_unknown_region, grpc.StatusCode.NOT_FOUND, "Unable to find shared memory region: 'nowhere'"),
    ],
)
def test_a_malformed_request(url: str, change: Change, code: grpc.StatusCode, message: str, conveyor: None) -> None:
    request = service_pb2.ModelInferRequest(model_name="tiny", id="seven", raw_input_contents=[bytes(64)])
    request.inputs.add(name="image", datatype="UINT8", shape=(1, 8, 8, 1))
    change(request)
    with grpc.insecure_channel(url) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        with pytest.raises(grpc.RpcError) as caught:
            stub.ModelInfer(request, timeout=60)
    assert (caught.value.code(), str(caught.value.details())[: len(message)]) == (code, message)


def test_garbage_is_refused(url: str) -> None:
    with grpc.insecure_channel(url) as channel:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
            "/inference.GRPCInferenceService/ModelInfer"
        )
        with pytest.raises(grpc.RpcError) as caught:
            call(b"\xff\xff\xff", timeout=60)
    assert caught.value.code() in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.INTERNAL)
