"""Plain ONNX files without a contract, for tests: several inputs, no batch axis, text, and a batch that mixes rows."""

from collections.abc import Sequence
from pathlib import Path

import onnx
from onnx import TensorProto, helper

OPSET = 18
IR_VERSION = 10

Shape = Sequence[int | str]


def write_sums(repository: Path, name: str = "sums", version: int = 1) -> None:
    """`left` FP32 [batch, 2] and `right` INT64 [batch, 2] to `sum` FP32 and `difference` FP32 [batch, 2]."""
    nodes = [
        helper.make_node("Cast", ["right"], ["number"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["left", "number"], ["sum"]),
        helper.make_node("Sub", ["left", "number"], ["difference"]),
    ]
    shape: Shape = ["batch", 2]
    inputs = [("left", TensorProto.FLOAT, shape), ("right", TensorProto.INT64, shape)]
    outputs = [("sum", TensorProto.FLOAT, shape), ("difference", TensorProto.FLOAT, shape)]
    _write(repository, name, version, helper.make_graph(nodes, name, _infos(inputs), _infos(outputs)))


def write_echo(repository: Path, name: str, datatype: int, shape: Shape) -> None:
    """`x` to `y`, unchanged."""
    node = helper.make_node("Identity", ["x"], ["y"])
    graph = helper.make_graph([node], name, _infos([("x", datatype, shape)]), _infos([("y", datatype, shape)]))
    _write(repository, name, 1, graph)


def write_mixing(repository: Path, name: str = "mixing") -> None:
    """Adds to every row the sum of the whole batch: rows that share a batch spoil each other's answer."""
    nodes = [
        helper.make_node("ReduceSum", ["x"], ["total"], keepdims=1, noop_with_empty_axes=0),
        helper.make_node("Add", ["x", "total"], ["y"]),
    ]
    shape: Shape = ["batch", 2]
    infos = _infos([("x", TensorProto.FLOAT, shape)]), _infos([("y", TensorProto.FLOAT, shape)])
    _write(repository, name, 1, helper.make_graph(nodes, name, *infos))


def _infos(tensors: Sequence[tuple[str, int, Shape]]) -> list[onnx.ValueInfoProto]:
    return [helper.make_tensor_value_info(name, datatype, list(shape)) for name, datatype, shape in tensors]


def _write(repository: Path, name: str, version: int, graph: onnx.GraphProto) -> None:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    target = repository / name / str(version) / "model.onnx"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(model.SerializeToString())
