"""The service as a caller sees it, over gRPC, from a real server: answers, conversions, refusals."""

import io
import threading
from collections.abc import Callable, Iterator

import grpc
import numpy as np
import onnxruntime
import pytest
from PIL import Image as PillowImage

from conveyor.v1 import classifier_pb2 as pb
from conveyor.v1 import model_pb2
from conveyor_contract.model_file import read_model_file
from conveyor_contract.preprocessing import Preprocessor, encode_png
from tests.server.process import ServerProcess

GREY = model_pb2.COLOUR_MODE_GRAYSCALE
RGB = model_pb2.COLOUR_MODE_RGB


def noise(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def pixels(array: np.ndarray) -> pb.Image:
    height, width, channels = array.shape
    mode = GREY if channels == 1 else RGB
    return pb.Image(pixels=pb.RawPixels(height=height, width=width, colour_mode=mode, data=array.tobytes()))


def classify(server: ServerProcess, *images: pb.Image, model: str = "tiny", **fields: object) -> pb.ClassifyResponse:
    request = pb.ClassifyRequest(model_name=model, images=images, **fields)  # type: ignore[arg-type]  # fields by name
    return server.stub.Classify(request, timeout=20)


def probabilities(server: ServerProcess, *images: pb.Image, model: str = "tiny") -> list[list[float]]:
    """All probabilities of each image, in the order of the labels."""
    answers = [result.answer for result in classify(server, *images, model=model, top_k=99).results]
    return [[p.probability for p in sorted(a.predictions, key=lambda p: p.index)] for a in answers]


def expected(server: ServerProcess, rows: np.ndarray, model: str = "tiny") -> np.ndarray:
    """What ONNX Runtime itself says of the very file."""
    session = onnxruntime.InferenceSession(server.repository / model / "1" / "model.onnx")
    output: np.ndarray = session.run(None, {"image": rows})[0]
    return output


def refused(call: Callable[[], object]) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as error:
        call()
    return error.value.code(), error.value.details() or ""


def raw_method(server: ServerProcess, path: str) -> Callable[[bytes], bytes]:
    """A method that takes bytes as they are."""
    call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = server.channel.unary_unary(path)
    return lambda payload: call(payload, timeout=20)


def preprocessor(server: ServerProcess, model: str) -> Preprocessor:
    contract = read_model_file(server.repository / model / "1" / "model.onnx").contract
    assert contract is not None
    return Preprocessor.from_message(contract.preprocessing)


def test_an_answer_carries_label_version_digest_request_id_and_timings(server: ServerProcess) -> None:
    response = classify(server, pixels(noise(1, 8, 8, 1)), request_id="mine")
    (prediction,) = response.results[0].answer.predictions
    assert prediction.label == f"class {prediction.index}"
    assert 1 / 3 <= prediction.probability <= 1
    assert (response.model_name, response.model_version, response.request_id) == ("tiny", "1", "mine")
    assert response.file_digest == read_model_file(server.repository / "tiny" / "1" / "model.onnx").file_digest
    assert response.timings.batch_size >= 1
    assert response.timings.compute_us > 0


def test_pixels_png_and_tensor_of_one_image_give_the_same_right_answer(server: ServerProcess) -> None:
    row = noise(2, 8, 8, 1)
    tensor = model_pb2.Tensor(datatype="UINT8", shape=row.shape, data=row.tobytes())
    answers = probabilities(server, pixels(row), pb.Image(encoded=encode_png(row)), pb.Image(tensor=tensor))
    np.testing.assert_allclose(answers, np.repeat(expected(server, row[np.newaxis]), 3, axis=0), atol=1e-6)


@pytest.mark.parametrize("shape", [(40, 30, 3), (6, 4, 1), (300, 200, 3), (6, 4, 3)])
@pytest.mark.parametrize("as_png", [True, False])
def test_an_image_of_another_size_or_colour_mode_is_converted_as_the_contract_says(
    server: ServerProcess, shape: tuple[int, ...], as_png: bool
) -> None:
    image = noise(3, *shape)
    row = preprocessor(server, "colour").convert(image)
    sent = pb.Image(encoded=encode_png(image)) if as_png else pixels(image)
    np.testing.assert_allclose(
        probabilities(server, sent, model="colour"), expected(server, row[np.newaxis], "colour"), atol=1e-6
    )


def test_a_jpeg_is_read(server: ServerProcess) -> None:
    buffer = io.BytesIO()
    PillowImage.fromarray(noise(4, 50, 60, 3)).save(buffer, "JPEG")
    row = preprocessor(server, "colour").decode(buffer.getvalue())
    answer = probabilities(server, pb.Image(encoded=buffer.getvalue()), model="colour")
    np.testing.assert_allclose(answer, expected(server, row[np.newaxis], "colour"), atol=1e-6)


def test_more_images_than_a_batch_holds_come_back_in_order(server: ServerProcess) -> None:
    rows = noise(5, 20, 8, 8, 1)
    answers = probabilities(server, *(pixels(row) for row in rows))
    np.testing.assert_allclose(answers, expected(server, rows), atol=1e-6)


def test_top_k_gives_that_many_labels_most_probable_first(server: ServerProcess) -> None:
    response = classify(server, pixels(noise(6, 6, 4, 3)), model="colour", top_k=3)
    found = [prediction.probability for prediction in response.results[0].answer.predictions]
    assert len(found) == 3
    assert found == sorted(found, reverse=True)


def test_concurrent_callers_get_their_own_answers(server: ServerProcess) -> None:
    rows = noise(7, 200, 8, 8, 1)
    right = expected(server, rows)
    wrong: list[int] = []

    def caller(indices: range) -> None:
        for index in indices:
            (answer,) = probabilities(server, pixels(rows[index]))
            if not np.allclose(answer, right[index], atol=1e-6):
                wrong.append(index)

    threads = [threading.Thread(target=caller, args=(range(start, 200, 16),)) for start in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_an_unreadable_image_among_others_has_its_own_error(server: ServerProcess) -> None:
    good = pixels(noise(8, 8, 8, 1))
    response = classify(server, good, pb.Image(encoded=b"not an image"), good)
    assert [result.WhichOneof("outcome") for result in response.results] == ["answer", "error", "answer"]
    error = response.results[1].error
    assert error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert "cannot be read" in error.message
    assert response.results[0] == response.results[2]


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (pb.Image(encoded=b"\x89PNG\r\n\x1a\nand nothing more"), "cannot be read"),
        (pb.Image(encoded=encode_png(noise(9, 8, 8, 1))[:60]), "cannot be read"),
        (pb.Image(encoded=b"\xff\xd8\xff garbage " * 3000), "cannot be read"),
        (pb.Image(encoded=b""), "0 bytes"),
        (pb.Image(), "an image is empty"),
        (pb.Image(pixels=pb.RawPixels(height=8, width=8, colour_mode=GREY, data=b"123")), "8x8x1 have 3 bytes"),
        (pb.Image(pixels=pb.RawPixels(height=8, width=8, data=bytes(64))), "colour mode 0"),
        (pb.Image(pixels=pb.RawPixels(colour_mode=GREY)), "0x0x1"),
        (pb.Image(pixels=pb.RawPixels(height=2**31, width=2**31, colour_mode=RGB)), "have 0 bytes"),
        (pb.Image(tensor=model_pb2.Tensor(datatype="FP32", shape=[8, 8, 1])), "expected UINT8 [8, 8, 1]"),
        (pb.Image(tensor=model_pb2.Tensor(datatype="UINT8", shape=[1, 8, 8])), "expected UINT8 [8, 8, 1]"),
        (pb.Image(tensor=model_pb2.Tensor(datatype="UINT8", shape=[8, 8, 1], data=b"1")), "1 bytes; expected 64"),
    ],
)
def test_a_lone_image_that_cannot_be_used_is_an_invalid_argument(
    server: ServerProcess, image: pb.Image, words: str
) -> None:
    code, message = refused(lambda: classify(server, image))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert words in message


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({"model_name": "tiny"}, grpc.StatusCode.INVALID_ARGUMENT, "holds no image"),
        ({"model_name": "tinny"}, grpc.StatusCode.NOT_FOUND, "did you mean 'tiny'?"),
        ({"model_name": "zzz"}, grpc.StatusCode.NOT_FOUND, "this server has: colour, tiny"),
        ({"model_name": ""}, grpc.StatusCode.NOT_FOUND, "names no model"),
        ({"model_name": "tiny", "model_version": "9"}, grpc.StatusCode.NOT_FOUND, "has no version 9; it has 1"),
        ({"model_name": "tiny", "model_version": "v1"}, grpc.StatusCode.INVALID_ARGUMENT, "positive whole number"),
        ({"model_name": "tiny", "images": [pb.Image()] * 21}, grpc.StatusCode.INVALID_ARGUMENT, "at most 20"),
    ],
)
def test_a_request_that_asks_wrongly_is_told_so(
    server: ServerProcess, fields: dict[str, object], code: grpc.StatusCode, words: str
) -> None:
    request = pb.ClassifyRequest(**fields)  # type: ignore[arg-type]  # fields by name
    found, message = refused(lambda: server.stub.Classify(request, timeout=20))
    assert found is code
    assert words in message


def test_garbage_bytes_are_an_invalid_argument(server: ServerProcess) -> None:
    call = raw_method(server, "/conveyor.v1.ClassifierService/Classify")
    code, message = refused(lambda: call(b"\xff\xff\xff\xff garbage"))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "not a conveyor.v1.ClassifyRequest" in message


def test_an_unknown_method_is_unimplemented(server: ServerProcess) -> None:
    call = raw_method(server, "/conveyor.v1.ClassifierService/Divine")
    assert refused(lambda: call(b""))[0] is grpc.StatusCode.UNIMPLEMENTED


def test_a_message_over_the_limit_is_refused_and_the_server_goes_on(server: ServerProcess) -> None:
    code, _ = refused(lambda: classify(server, pb.Image(encoded=bytes(1_100_000))))
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert classify(server, pixels(noise(1, 8, 8, 1))).results[0].HasField("answer")


def test_a_timeout_that_allows_the_work_changes_nothing(server: ServerProcess) -> None:
    assert classify(server, pixels(noise(1, 8, 8, 1)), timeout_ms=10_000).results[0].HasField("answer")


def test_a_stream_answers_every_item_and_a_bad_one_does_not_end_it(server: ServerProcess) -> None:
    rows = noise(10, 300, 8, 8, 1)
    right = expected(server, rows).argmax(axis=1)

    def items() -> Iterator[pb.ClassifyStreamRequest]:
        for index, row in enumerate(rows):
            image = pb.Image(encoded=b"bad") if index == 7 else pixels(row)
            yield pb.ClassifyStreamRequest(item_id=index, image=image, model_name="" if index else "tiny")
        yield pb.ClassifyStreamRequest(item_id=300, image=pixels(rows[0]), model_name="nobody")

    answers = {answer.item_id: answer for answer in server.stub.ClassifyStream(items(), timeout=60)}
    assert sorted(answers) == list(range(301))
    assert answers.pop(7).result.error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert answers.pop(300).result.error.code == grpc.StatusCode.NOT_FOUND.value[0]
    assert all(answer.result.answer.predictions[0].index == right[index] for index, answer in answers.items())
    assert answers[0].model_version == "1"
    assert answers[0].timings.batch_size >= 1


def test_a_stream_can_be_held_as_a_conversation(server: ServerProcess) -> None:
    answered = threading.Semaphore(1)

    def items() -> Iterator[pb.ClassifyStreamRequest]:
        for index in range(5):
            assert answered.acquire(timeout=20)
            yield pb.ClassifyStreamRequest(item_id=index, image=pixels(noise(index, 8, 8, 1)), model_name="tiny")

    found = []
    for answer in server.stub.ClassifyStream(items(), timeout=60):
        found.append(answer.item_id)
        answered.release()
    assert found == [0, 1, 2, 3, 4]


def test_get_model_returns_the_contract_inside_the_file(server: ServerProcess) -> None:
    response = server.stub.GetModel(pb.GetModelRequest(model_name="tiny"), timeout=20)
    assert response.contract == read_model_file(server.repository / "tiny" / "1" / "model.onnx").contract
    assert response.status.state == pb.MODEL_STATE_READY
    assert response.status.provider == "CPUExecutionProvider"
    assert not response.HasField("golden_samples")


def test_golden_samples_are_kept_back(server: ServerProcess) -> None:
    request = pb.GetModelRequest(model_name="tiny", include_golden_samples=True)
    assert refused(lambda: server.stub.GetModel(request, timeout=20))[0] is grpc.StatusCode.PERMISSION_DENIED


def test_list_models_names_every_version(server: ServerProcess) -> None:
    models = server.stub.ListModels(pb.ListModelsRequest(), timeout=20).models
    assert [(m.model_name, m.model_version, m.state) for m in models] == [
        ("colour", "1", pb.MODEL_STATE_READY),
        ("tiny", "1", pb.MODEL_STATE_READY),
    ]
