"""The repository that the suite needs, as plain files: `python -m tests.conformance.models FOLDER` writes it."""

import math
import sys
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from tests.models import write_tiny_model

OPSET = 18
IR_VERSION = 10
CLASSES = 3
MAX_BATCH_SIZE = 8
# The least that `slow` takes on the machine that writes it, and the matrix that it multiplies: too small for ONNX
# Runtime to share out among threads.
SLOW_SECONDS, SLOW_SIZE = 0.2, 32
# What it is measured by.
TRIAL_ROUNDS, TRIALS = 5000, 5

Shape = Sequence[int | str]
Tensor = tuple[str, int, Shape]


def write_repository(folder: Path) -> None:
    """Writes every model; `broken` and version 1 of `tiny` are there to be not ready."""
    write_tiny_model(folder, "tiny", 1, classes=CLASSES, max_batch_size=MAX_BATCH_SIZE)
    write_tiny_model(folder, "tiny", 2, classes=CLASSES, max_batch_size=MAX_BATCH_SIZE)
    batched: Shape = ["batch", 2]
    write_sums(folder)
    write_echo(folder, "echo_bytes", TensorProto.STRING, batched)
    write_echo(folder, "echo_whole", TensorProto.FLOAT, [2, 3])
    write_echo(folder, "echo_free", TensorProto.FLOAT, ["n", "m"])
    for name, datatype in ECHOED.items():
        write_echo(folder, f"echo_{name.lower()}", datatype, batched)
    write_mixing(folder)
    write_picking(folder)
    write_slow(folder)
    (folder / "broken" / "1").mkdir(parents=True)
    (folder / "broken" / "1" / "model.onnx").write_bytes(b"no model")


# By the protocol's word.
ECHOED = {
    "BOOL": TensorProto.BOOL,
    "UINT8": TensorProto.UINT8,
    "UINT16": TensorProto.UINT16,
    "UINT32": TensorProto.UINT32,
    "UINT64": TensorProto.UINT64,
    "INT8": TensorProto.INT8,
    "INT16": TensorProto.INT16,
    "INT32": TensorProto.INT32,
    "INT64": TensorProto.INT64,
    "FP16": TensorProto.FLOAT16,
    "FP32": TensorProto.FLOAT,
    "FP64": TensorProto.DOUBLE,
}


def write_sums(folder: Path, name: str = "sums", version: int = 1) -> None:
    """`left` FP32 and `right` INT64 [batch, 2] to `sum` and `difference` FP32 [batch, 2]."""
    nodes = [
        helper.make_node("Cast", ["right"], ["number"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["left", "number"], ["sum"]),
        helper.make_node("Sub", ["left", "number"], ["difference"]),
    ]
    shape: Shape = ["batch", 2]
    inputs = [("left", TensorProto.FLOAT, shape), ("right", TensorProto.INT64, shape)]
    outputs = [("sum", TensorProto.FLOAT, shape), ("difference", TensorProto.FLOAT, shape)]
    _write(folder, version, helper.make_graph(nodes, name, _infos(inputs), _infos(outputs)))


def write_echo(folder: Path, name: str, datatype: int, shape: Shape) -> None:
    """`x` to `y`, unchanged."""
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    infos = _infos([("x", datatype, shape)]), _infos([("y", datatype, shape)])
    _write(folder, 1, helper.make_graph(nodes, name, *infos))


def write_mixing(folder: Path, name: str = "mixing") -> None:
    """Adds to every row the sum of the whole batch: rows that share a batch spoil each other's answer."""
    nodes = [
        helper.make_node("ReduceSum", ["x"], ["total"], keepdims=1, noop_with_empty_axes=0),
        helper.make_node("Add", ["x", "total"], ["y"]),
    ]
    shape: Shape = ["batch", 2]
    infos = _infos([("x", TensorProto.FLOAT, shape)]), _infos([("y", TensorProto.FLOAT, shape)])
    _write(folder, 1, helper.make_graph(nodes, name, *infos))


def write_picking(folder: Path, name: str = "picking") -> None:
    """`index` INT64 [1] to the `value` FP32 [1] at that place of three: any other index fails the run."""
    values = numpy_helper.from_array(np.array([10, 20, 30], np.float32), "values")
    nodes = [helper.make_node("Gather", ["values", "index"], ["value"])]
    infos = _infos([("index", TensorProto.INT64, [1])]), _infos([("value", TensorProto.FLOAT, [1])])
    _write(folder, 1, helper.make_graph(nodes, name, *infos, [values]))


def write_slow(folder: Path, name: str = "slow") -> None:
    """`x` FP32 [1] to `y` FP32 [1], unchanged, after work of SLOW_SECONDS or more; never more than one at a time."""
    _write(folder, 1, _slow_graph(name, _slow_rounds()))


@cache
def _slow_rounds() -> int:
    """How many rounds take SLOW_SECONDS here: a fixed number would be no work at all on some machine.

    In CPU time, as others may be at work now and gone later.
    """
    graph = _slow_graph("slow", TRIAL_ROUNDS)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(_model(graph).SerializeToString(), options, providers=["CPUExecutionProvider"])

    def trial() -> float:
        started = time.thread_time()
        session.run(None, {"x": np.ones(1, np.float32)})
        return time.thread_time() - started

    return math.ceil(TRIAL_ROUNDS * SLOW_SECONDS / min(trial() for _ in range(TRIALS)))


def _slow_graph(name: str, count: int) -> onnx.GraphProto:
    identity = numpy_helper.from_array(np.eye(SLOW_SIZE, dtype=np.float32), "identity")
    rounds = numpy_helper.from_array(np.array(count, np.int64), "rounds")
    always = numpy_helper.from_array(np.array(True), "always")
    size = numpy_helper.from_array(np.array([SLOW_SIZE, SLOW_SIZE], np.int64), "size")
    first = numpy_helper.from_array(np.array([0], np.int64), "first")
    whole = numpy_helper.from_array(np.array([-1], np.int64), "whole")
    matrix = (TensorProto.FLOAT, [SLOW_SIZE, SLOW_SIZE])
    body = helper.make_graph(
        [
            helper.make_node("MatMul", ["before", "identity"], ["after"]),
            helper.make_node("Identity", ["go_on"], ["goes_on"]),
        ],
        "round",
        _infos([("round", TensorProto.INT64, []), ("go_on", TensorProto.BOOL, []), ("before", *matrix)]),
        _infos([("goes_on", TensorProto.BOOL, []), ("after", *matrix)]),
    )
    nodes = [
        helper.make_node("Expand", ["x", "size"], ["start"]),
        helper.make_node("Loop", ["rounds", "always", "start"], ["end"], body=body),
        helper.make_node("Reshape", ["end", "whole"], ["flat"]),
        helper.make_node("Gather", ["flat", "first"], ["y"]),
    ]
    constants = [identity, rounds, always, size, first, whole]
    infos = _infos([("x", TensorProto.FLOAT, [1])]), _infos([("y", TensorProto.FLOAT, [1])])
    return helper.make_graph(nodes, name, *infos, constants)


def _infos(tensors: Sequence[Tensor]) -> list[onnx.ValueInfoProto]:
    return [helper.make_tensor_value_info(name, datatype, list(shape)) for name, datatype, shape in tensors]


def _write(folder: Path, version: int, graph: onnx.GraphProto) -> None:
    target = folder / graph.name / str(version) / "model.onnx"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(_model(graph).SerializeToString())


def _model(graph: onnx.GraphProto) -> onnx.ModelProto:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    return model


if __name__ == "__main__":
    write_repository(Path(sys.argv[1]))
