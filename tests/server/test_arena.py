"""A session gives back what a large batch took, and takes nothing anew that it will soon need again."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from conveyor.v1 import model_pb2
from conveyor_contract.preprocessing import Preprocessor
from conveyor_server.arena import MIN_BYTES, Arena
from conveyor_server.batch import Rows
from conveyor_server.graph import GraphSession
from conveyor_server.instance import Runnable
from conveyor_server.providers import CPU, CUDA
from conveyor_server.session import Session, SessionOptions
from tests.models import IR_VERSION, OPSET, tiny_contract

SIDE, FILTERS, LARGE = 224, 32, 32
# What the convolution's output takes for the large batch, in MiB.
OUTPUT_MIB = LARGE * FILTERS * SIDE * SIDE * 4 // 2**20
OPTIONS = SessionOptions(provider=CPU, intra_op_threads=1)


def write_convolution(path: Path) -> Path:
    """uint8 [batch, 224, 224, 3] -> 32 filters -> their means."""
    filters = np.random.default_rng(0).normal(size=(FILTERS, 3, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["pixels"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "filters"], ["filtered"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["filtered"], ["positive"]),
        helper.make_node("GlobalAveragePool", ["positive"], ["means"]),
        helper.make_node("Flatten", ["means"], ["probabilities"]),
    ]
    graph = helper.make_graph(
        nodes,
        "convolution",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", SIDE, SIDE, 3])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", FILTERS])],
        [numpy_helper.from_array(filters, "filters")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.save(model, path)
    return path


def contract_session(path: Path) -> Runnable:
    preprocessor = Preprocessor(height=SIDE, width=SIDE, colour_mode=model_pb2.COLOUR_MODE_RGB)
    return Session(path, tiny_contract("convolution", FILTERS, preprocessor, LARGE), OPTIONS)


def graph_session(path: Path) -> Runnable:
    return GraphSession(path, OPTIONS, LARGE)


def resident_mib() -> float:
    """Of this process."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def black(rows: int) -> Rows:
    return np.zeros((rows, SIDE, SIDE, 3), np.uint8)


@pytest.mark.parametrize("open_session", [contract_session, graph_session], ids=["contract", "plain graph"])
def test_a_large_batch_leaves_next_to_nothing_behind(tmp_path: Path, open_session: Callable[[Path], Runnable]) -> None:
    session = open_session(write_convolution(tmp_path / "model.onnx"))
    for _ in range(3):
        session.run(black(1))
    before = resident_mib()
    session.run(black(LARGE))
    assert resident_mib() - before < OUTPUT_MIB / 4


def given_back(arena: Arena, sizes: list[int]) -> list[bool]:
    """For each run whether it gives memory back."""
    return [arena.options_for(size) is not None for size in sizes]


def settled(size: int) -> Arena:
    """After many runs of one size."""
    arena = Arena(CPU)
    given_back(arena, [size] * 100)
    return arena


def test_a_lone_large_run_gives_back_at_its_end() -> None:
    sizes = [MIN_BYTES, 32 * MIN_BYTES, MIN_BYTES, MIN_BYTES]
    assert given_back(settled(MIN_BYTES), sizes) == [False, True, False, False]


def test_large_runs_keep_what_they_need_again_until_small_ones_follow() -> None:
    arena = settled(32 * MIN_BYTES)
    assert not any(given_back(arena, [32 * MIN_BYTES, 8 * MIN_BYTES] * 20))
    assert sum(given_back(arena, [MIN_BYTES] * 100)) == 1


def test_small_models_are_left_alone() -> None:
    arena = Arena(CPU)
    assert not any(given_back(arena, [1, MIN_BYTES - 1] * 20))


def test_other_providers_are_left_alone() -> None:
    assert not any(given_back(Arena(CUDA), [1, 100 * MIN_BYTES]))
