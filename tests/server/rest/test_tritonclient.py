"""tritonclient's HTTP client, synchronous and asyncio, does all that it can do."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from tritonclient.utils import InferenceServerException, shared_memory

from tests.conformance.asking import images

MEMORY_KEY = "/conveyor_rest"
PACKINGS = (None, "gzip", "deflate")


@pytest.fixture
def client(http: str) -> Iterator[triton.InferenceServerClient]:
    """A client of the server."""
    with triton.InferenceServerClient(http) as opened:
        yield opened


def tensor(name: str, array: npt.NDArray[Any], datatype: str, *, binary: bool) -> triton.InferInput:
    made = triton.InferInput(name, list(array.shape), datatype)
    made.set_data_from_numpy(array, binary_data=binary)
    return made


def sums(*, binary: bool) -> list[triton.InferInput]:
    left = tensor("left", np.array([[1, 2], [3, 4]], np.float32), "FP32", binary=binary)
    return [left, tensor("right", np.array([[10, 20], [30, 40]]), "INT64", binary=not binary)]


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("outputs", [None, True, False])
def test_inference_in_json_and_in_binary(
    client: triton.InferenceServerClient, binary: bool, outputs: bool | None
) -> None:
    names = ("difference", "sum")
    wanted = None if outputs is None else [triton.InferRequestedOutput(name, binary_data=outputs) for name in names]
    answer = client.infer("sums", sums(binary=binary), outputs=wanted, request_id="seven")
    assert answer.as_numpy("sum").tolist() == [[11, 22], [33, 44]]
    assert answer.as_numpy("difference").tolist() == [[-9, -18], [-27, -36]]
    assert answer.get_response()["id"] == "seven"
    assert ("data" in answer.get_output("sum")) is (outputs is False)


@pytest.mark.parametrize("sent", PACKINGS)
@pytest.mark.parametrize("received", PACKINGS)
@pytest.mark.parametrize("binary", [True, False])
def test_bodies_may_be_packed(
    client: triton.InferenceServerClient, sent: str | None, received: str | None, binary: bool
) -> None:
    array = np.arange(2000, dtype=np.float32).reshape(1000, 2)
    answer = client.infer(
        "echo_free",
        [tensor("x", array, "FP32", binary=binary)],
        outputs=[triton.InferRequestedOutput("y", binary_data=binary)],
        request_compression_algorithm=sent,
        response_compression_algorithm=received,
    )
    np.testing.assert_array_equal(answer.as_numpy("y"), array)


def test_both_clients_agree_asynchronously(http: str, client: triton.InferenceServerClient) -> None:
    rows = images(3)
    waiting = client.async_infer("tiny", [tensor("image", rows, "UINT8", binary=True)])
    expected = waiting.get_result().as_numpy("probabilities")

    async def ask() -> npt.NDArray[np.float32]:
        async with triton_aio.InferenceServerClient(http) as opened:
            assert (await opened.get_server_metadata())["name"] == "conveyor"
            assert await opened.is_model_ready("tiny")
            assert (await opened.get_model_config("tiny"))["max_batch_size"] == 8
            answer = await opened.infer("tiny", [tensor("image", rows, "UINT8", binary=False)])
            found: npt.NDArray[np.float32] = answer.as_numpy("probabilities")
            return found

    np.testing.assert_allclose(asyncio.run(ask()), expected, atol=1e-6)


@pytest.mark.parametrize("binary", [True, False])
def test_texts_and_classes_come_back(client: triton.InferenceServerClient, binary: bool) -> None:
    texts = np.array([["a", "é"], ["", "long" * 100]], object)
    answer = client.infer(
        "echo_bytes",
        [tensor("x", texts, "BYTES", binary=binary)],
        outputs=[triton.InferRequestedOutput("y", binary_data=binary)],
    )
    found = [[each.decode() if isinstance(each, bytes) else each for each in row] for row in answer.as_numpy("y")]
    assert found == texts.tolist()
    wanted = triton.InferRequestedOutput("probabilities", binary_data=binary, class_count=2)
    classes = client.infer("tiny", [tensor("image", images(2), "UINT8", binary=True)], outputs=[wanted])
    assert classes.as_numpy("probabilities").shape == (2, 2)


def test_encoded_images_go_in_as_they_are(client: triton.InferenceServerClient, picture: bytes) -> None:
    encoded = tensor("image", np.array([picture, picture], object), "BYTES", binary=True)
    assert client.infer("tiny", [encoded]).as_numpy("probabilities").shape == (2, 3)


def test_it_reads_all_there_is_to_know(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("tiny", "1")
    assert not client.is_model_ready("nothing")
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    assert client.get_model_metadata("tiny", "1")["inputs"] == [
        {"name": "image", "datatype": "UINT8", "shape": [-1, 8, 8, 1]}
    ]
    config = client.get_model_config("tiny")
    assert config["input"][0]["data_type"] == "TYPE_UINT8"
    client.infer("tiny", [tensor("image", images(), "UINT8", binary=True)])
    (counted,) = client.get_inference_statistics("tiny")["model_stats"]
    assert counted["inference_stats"]["success"]["count"] > 0
    assert len(client.get_inference_statistics()["model_stats"]) > 1


def test_it_loads_and_unloads(client: triton.InferenceServerClient) -> None:
    def state() -> Sequence[str]:
        return [each["state"] for each in client.get_model_repository_index() if each["name"] == "echo_fp16"]

    assert list(state()) == ["READY"]
    client.unload_model("echo_fp16")
    assert not client.is_model_ready("echo_fp16")
    client.load_model("echo_fp16", config='{"max_batch_size": 4}')
    assert list(state()) == ["READY"]
    assert client.get_model_config("echo_fp16")["max_batch_size"] == 4
    client.load_model("echo_fp16")


def test_tensors_pass_through_shared_memory(client: triton.InferenceServerClient) -> None:
    region = shared_memory.create_shared_memory_region("a/region", MEMORY_KEY, 64)
    try:
        client.register_system_shared_memory("a/region", MEMORY_KEY, 64)
        assert client.get_system_shared_memory_status("a/region") == [
            {"name": "a/region", "key": MEMORY_KEY, "offset": 0, "byte_size": 64}
        ]
        shared_memory.set_shared_memory_region(region, [np.array([[1, 2]], np.float32)])
        given = triton.InferInput("x", [1, 2], "FP32").set_shared_memory("a/region", 8)
        wanted = triton.InferRequestedOutput("y", binary_data=True)
        wanted.set_shared_memory("a/region", 8, offset=32)
        output = client.infer("echo_fp32", [given], outputs=[wanted]).get_output("y")
        assert output["parameters"]["shared_memory_region"] == "a/region"
        found = shared_memory.get_contents_as_numpy(region, np.float32, [1, 2], offset=32)
        assert found.tolist() == [[1, 2]]
        client.unregister_system_shared_memory("a/region")
        assert client.get_system_shared_memory_status() == []
    finally:
        shared_memory.destroy_shared_memory_region(region)


def test_settings_are_read_and_changed(client: triton.InferenceServerClient) -> None:
    assert client.update_log_settings({"log_verbose_level": 1})["log_verbose_level"] == 1
    assert client.update_log_settings({"log_verbose_level": 0}) == client.get_log_settings()
    assert "trace_level" in client.get_trace_settings()
    assert client.update_trace_settings(settings={"trace_rate": None}) == client.get_trace_settings("tiny")


def test_errors_are_the_sentences_of_the_server(client: triton.InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException, match="unexpected shape for input 'x'") as caught:
        client.infer("echo_fp32", [tensor("x", np.zeros((1, 3), np.float32), "FP32", binary=True)])
    assert caught.value.status() == "400"
    with pytest.raises(InferenceServerException, match="CUDA shared memory is not served") as caught:
        client.get_cuda_shared_memory_status()
    assert caught.value.status() == "501"
