"""What providers are asked for, and runs in buffers that stay: what of it can be tried without a GPU."""

import dataclasses
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from conveyor_contract.model_file import read_model_file
from conveyor_server.bound_runs import BoundRuns, BoundTensor, Place
from conveyor_server.devices import device_options
from conveyor_server.errors import ProviderError
from conveyor_server.providers import (
    CPU,
    CUDA,
    OPENVINO,
    TENSORRT,
    DeviceOptions,
    choose_provider,
    device_count,
    problem_with,
    provider_options,
    providers_to_ask_for,
)
from conveyor_server.session import Session, SessionOptions
from conveyor_server.settings import ServerSettings
from tests.models import write_tiny_model

BUCKETS = (1, 2, 4, 8)
GIVEN = BoundTensor(name="image", row_shape=(8, 8, 1), dtype=np.dtype(np.uint8))
TAKEN = BoundTensor(name="probabilities", row_shape=(3,), dtype=np.dtype(np.float32))

without_cuda = pytest.mark.skipif(CUDA in onnxruntime.get_available_providers(), reason="this ONNX Runtime has CUDA")


def test_cuda_searches_no_algorithm_at_length_and_keeps_full_precision_unless_told() -> None:
    assert provider_options(CUDA) == {
        "device_id": "0",
        "cudnn_conv_algo_search": "HEURISTIC",
        "arena_extend_strategy": "kSameAsRequested",
        "use_tf32": "0",
        "enable_cuda_graph": "0",
    }
    told = provider_options(CUDA, DeviceOptions(device_id=3, memory_limit=2**30, tf32=True, graphs=True))
    assert (told["device_id"], told["gpu_mem_limit"], told["use_tf32"], told["enable_cuda_graph"]) == (
        *("3", "1073741824", "1", "1"),
    )


def test_options_are_text_and_the_cpu_has_none() -> None:
    device = DeviceOptions(device_id=1, memory_limit=5, tf32=True, graphs=True)
    for provider in (CUDA, TENSORRT, OPENVINO):
        assert all(isinstance(value, str) for value in provider_options(provider, device).values())
    assert provider_options(CPU, device) == {}


def test_behind_tensorrt_stands_cuda_on_the_same_gpu() -> None:
    asked = providers_to_ask_for(TENSORRT, DeviceOptions(device_id=2))
    assert [name for name, _ in asked] == [TENSORRT, CUDA]
    assert {options["device_id"] for _, options in asked} == {"2"}


@without_cuda
@pytest.mark.parametrize(("device", "word"), [("cuda", "CUDA"), ("tensorrt", "TensorRT"), ("openvino", "OpenVINO")])
def test_a_device_that_is_not_there_is_refused_in_a_sentence(device: str, word: str) -> None:
    with pytest.raises(ProviderError, match=f"{word} was asked for and cannot be used: the installed ONNX Runtime"):
        choose_provider(device)


@without_cuda
def test_auto_takes_the_cpu_where_there_is_nothing_else() -> None:
    assert choose_provider("auto") == CPU
    assert problem_with(CPU) is None


def test_gpus_are_dealt_out_to_workers_in_turn() -> None:
    settings = ServerSettings.model_validate({"repository": ".", "cuda_graphs": True, "cuda_memory_limit": 7})
    gpus = max(1, device_count())
    options = [device_options(settings, worker) for worker in range(2 * gpus)]
    assert [option.device_id for option in options] == [*range(gpus), *range(gpus)]
    assert options[0] == DeviceOptions(memory_limit=7, graphs=True)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("models"))


def test_bound_runs_answer_as_the_session_itself_at_every_size(model: Path) -> None:
    session = onnxruntime.InferenceSession(model, providers=[CPU])
    bound = BoundRuns(session, GIVEN, TAKEN, BUCKETS, Place(device="cpu"))
    bound.warm(BUCKETS)
    generator = np.random.default_rng(3)
    # Sizes that grow and shrink: nothing of an earlier batch may shine through.
    for size in [*range(1, 9), *range(8, 0, -1)]:
        rows = generator.integers(0, 256, (size, 8, 8, 1), np.uint8)
        np.testing.assert_allclose(bound.run(rows), session.run(None, {"image": rows})[0], rtol=1e-5, atol=1e-6)


def test_an_answer_is_not_changed_by_the_next_run(model: Path) -> None:
    session = onnxruntime.InferenceSession(model, providers=[CPU])
    bound = BoundRuns(session, GIVEN, TAKEN, BUCKETS, Place(device="cpu"))
    first = bound.run(np.zeros((2, 8, 8, 1), np.uint8))
    before = first.copy()
    bound.run(np.full((2, 8, 8, 1), 255, np.uint8))
    np.testing.assert_array_equal(first, before)


def test_more_rows_than_the_largest_bucket_are_an_error(model: Path) -> None:
    session = onnxruntime.InferenceSession(model, providers=[CPU])
    bound = BoundRuns(session, GIVEN, TAKEN, BUCKETS, Place(device="cpu"))
    with pytest.raises(ValueError, match="9 rows do not fit"):
        bound.run(np.zeros((9, 8, 8, 1), np.uint8))


@without_cuda
def test_a_session_that_would_run_elsewhere_is_refused(model: Path) -> None:
    contract = read_model_file(model).verify()
    with (
        pytest.warns(UserWarning, match="not in available provider names"),
        pytest.raises(ProviderError, match="it would run on CPUExecutionProvider, not on CUDAExecutionProvider"),
    ):
        Session(model, contract, SessionOptions(provider=CUDA, intra_op_threads=1))


def test_the_defaults_of_a_device_are_those_that_were_proved() -> None:
    defaults = {field.name: field.default for field in dataclasses.fields(DeviceOptions)}
    assert defaults == {"device_id": 0, "memory_limit": 0, "tf32": False, "graphs": False}
