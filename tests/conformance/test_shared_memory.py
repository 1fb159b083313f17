"""Tensors through POSIX shared memory: inputs, outputs, and every way in which it can go wrong."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException, serialize_byte_tensor, shared_memory

from tests.conformance.asking import Ask, images, tensor

KEY = "/conveyor_conformance"
SIZE = 4096


@pytest.fixture
def memory(own_repository: Path, client: triton.InferenceServerClient) -> Iterator[Any]:
    """A region `region` of SIZE bytes, registered with the server, which must be on this machine."""
    handle = shared_memory.create_shared_memory_region("region", KEY, SIZE)
    client.register_system_shared_memory("region", KEY, SIZE)
    yield handle
    client.unregister_system_shared_memory()
    shared_memory.destroy_shared_memory_region(handle)


def check(call: Callable[[], Any], code: str, message: str) -> None:
    with pytest.raises(InferenceServerException) as caught:
        call()
    assert message in caught.value.message()
    assert caught.value.status() in (None, f"StatusCode.{code}")


def in_region(offset: int = 0, byte_size: int = 64) -> triton.InferInput:
    given = triton.InferInput("image", [1, 8, 8, 1], "UINT8")
    given.set_shared_memory("region", byte_size, offset)
    return given


def test_inputs_and_outputs_pass_through_it(memory: Any, ask: Ask) -> None:
    rows = images()
    expected = ask("tiny", [tensor("image", rows)]).as_numpy("probabilities")
    shared_memory.set_shared_memory_region(memory, [rows], offset=128)
    wanted = triton.InferRequestedOutput("probabilities")
    wanted.set_shared_memory("region", 12, offset=1024)
    response = ask("tiny", [in_region(128)], outputs=[wanted]).get_response()
    assert response.outputs[0].parameters["shared_memory_region"].string_param == "region"
    assert list(response.raw_output_contents) == [b""]
    found = shared_memory.get_contents_as_numpy(memory, np.float32, [1, 3], offset=1024)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_text_passes_through_it(memory: Any, ask: Ask) -> None:
    array = np.array([["a", "bc"]], object)
    shared_memory.set_shared_memory_region(memory, [serialize_byte_tensor(array)])
    given = triton.InferInput("x", [1, 2], "BYTES")
    given.set_shared_memory("region", 11)
    assert ask("echo_bytes", [given]).as_numpy("y").tolist() == [[b"a", b"bc"]]


def test_one_input_may_be_in_it_and_the_other_in_the_message(memory: Any, ask: Ask) -> None:
    shared_memory.set_shared_memory_region(memory, [np.array([[1, 2]], np.float32)])
    left = triton.InferInput("left", [1, 2], "FP32")
    left.set_shared_memory("region", 8)
    answer = ask("sums", [left, tensor("right", np.array([[10, 20]]))])
    assert answer.as_numpy("sum").tolist() == [[11, 22]]


def test_the_status_names_what_is_registered(memory: Any, client: triton.InferenceServerClient) -> None:
    client.register_system_shared_memory("second", KEY, 16, offset=32)
    regions = client.get_system_shared_memory_status().regions
    assert sorted(regions) == ["region", "second"]
    assert (regions["second"].key, regions["second"].offset, regions["second"].byte_size) == (KEY, 32, 16)
    assert sorted(client.get_system_shared_memory_status("region").regions) == ["region"]
    client.unregister_system_shared_memory("second")
    assert sorted(client.get_system_shared_memory_status().regions) == ["region"]


def test_an_offset_of_the_region_counts(memory: Any, client: triton.InferenceServerClient) -> None:
    shared_memory.set_shared_memory_region(memory, [np.array([[3, 4]], np.float32)], offset=256)
    client.register_system_shared_memory("second", KEY, 8, offset=256)
    given = triton.InferInput("x", [1, 2], "FP32")
    given.set_shared_memory("second", 8)
    assert client.infer("echo_fp32", [given]).as_numpy("y").tolist() == [[3, 4]]


def test_a_name_is_registered_once(memory: Any, client: triton.InferenceServerClient) -> None:
    check(lambda: client.register_system_shared_memory("region", KEY, SIZE), "ALREADY_EXISTS", "already in manager")


@pytest.mark.parametrize("key", ["/conveyor_nowhere", "/../etc/passwd", "..", "/", ""])
def test_memory_that_is_not_there_is_not_registered(
    client: triton.InferenceServerClient, key: str, conveyor: None
) -> None:
    check(lambda: client.register_system_shared_memory("missing", key, 16), "INVALID_ARGUMENT", "shared memory")


def test_more_than_there_is_is_not_registered(memory: Any, client: triton.InferenceServerClient) -> None:
    check(lambda: client.register_system_shared_memory("large", KEY, 1 << 40), "INVALID_ARGUMENT", "4096 bytes")


def test_the_status_of_an_unknown_region_is_an_error(client: triton.InferenceServerClient) -> None:
    check(lambda: client.get_system_shared_memory_status("nowhere"), "NOT_FOUND", "'nowhere'")


def test_unregistering_what_is_not_there_is_no_error(client: triton.InferenceServerClient) -> None:
    client.unregister_system_shared_memory("nowhere")


def test_a_place_outside_the_region_is_refused(memory: Any, ask: Ask) -> None:
    check(lambda: ask("tiny", [in_region(SIZE - 63)]), "INVALID_ARGUMENT", "Invalid offset + byte size")


def test_a_size_that_is_not_the_tensors_is_refused(memory: Any, ask: Ask) -> None:
    check(lambda: ask("tiny", [in_region(byte_size=63)]), "INVALID_ARGUMENT", "unexpected total byte size 63")


def test_an_output_that_does_not_fit_is_refused(memory: Any, ask: Ask) -> None:
    wanted = triton.InferRequestedOutput("probabilities")
    wanted.set_shared_memory("region", 11)
    check(lambda: ask("tiny", [tensor("image", images())], outputs=[wanted]), "INVALID_ARGUMENT", "12 bytes")


def test_classes_cannot_be_put_there(memory: Any, ask: Ask) -> None:
    wanted = triton.InferRequestedOutput("probabilities", class_count=1)
    wanted._output.parameters["shared_memory_region"].string_param = "region"
    wanted._output.parameters["shared_memory_byte_size"].int64_param = 64
    check(lambda: ask("tiny", [tensor("image", images())], outputs=[wanted]), "INVALID_ARGUMENT", "classification")


def test_memory_that_its_owner_shrinks_is_an_error_and_the_server_goes_on(
    memory: Any, ask: Ask, client: triton.InferenceServerClient
) -> None:
    with Path("/dev/shm", KEY.lstrip("/")).open("r+b") as file:
        file.truncate(16)
    check(lambda: ask("tiny", [in_region()]), "INVALID_ARGUMENT", "shorter than when it was registered")
    assert client.is_server_live()
