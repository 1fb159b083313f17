"""Somebody's ONNX graph made into one that takes uint8 pixels and answers as a server expects: nodes before and after.

The wrapper of a PyTorch network (wrapper.py), for a graph that exists already.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, compose, helper, numpy_helper

from conveyor_contract.contract import BATCH_AXIS
from conveyor_exporter.checks.file import NEWEST_IR_VERSION
from conveyor_exporter.description import ModelDescription
from conveyor_exporter.errors import ExportError
from conveyor_exporter.model_input import ImageInput
from conveyor_exporter.onnx_graph import graph_inputs, shape_in_graph, strip_machine_traces

_ORIGINAL = "original/"  # before the names of everything in the file, so that ours are free
_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)


@dataclass(frozen=True, kw_only=True)
class OriginalInput:
    """How the file wants its images: floats that are normalised before, or pixels that it normalises itself."""

    name: str
    output: str
    datatype: int  # ONNX's number for it
    is_nchw: bool
    batch: int | None  # where the file fixes it

    @property
    def takes_pixels(self) -> bool:
        return self.datatype == TensorProto.UINT8


def original_input(graph: ModelProto, given: ImageInput) -> OriginalInput:
    """What the file takes. Raises ExportError when that is no image of the described size."""
    inputs, outputs = graph_inputs(graph), list(graph.graph.output)
    if len(inputs) != 1 or len(outputs) != 1:
        raise ExportError(
            f"the file has {len(inputs)} inputs and {len(outputs)} outputs; a contract describes one of each: cut the "
            "others off before you adopt it."
        )
    datatype, shape = inputs[0].type.tensor_type.elem_type, shape_in_graph(inputs[0])
    if datatype not in (*_FLOATS, TensorProto.UINT8):
        raise ExportError(
            f"the input {inputs[0].name!r} takes {TensorProto.DataType.Name(datatype)}; expected floats, or uint8."
        )
    height, width, channels = given.preprocessor.row_shape
    fits = {is_nchw: _fits(shape, wanted) for is_nchw, wanted in _layouts(height, width, channels).items()}
    if not any(fits.values()):
        raise ExportError(
            f"the input {inputs[0].name!r} has the shape {list(shape)}, which no image of {height} x {width} x "
            f"{channels} (H x W x C) fits; say its size with --input CxHxW."
        )
    both = all(fits.values())  # sizes that are free, or one channel of one pixel: go by what is usual for the type
    is_nchw = datatype != TensorProto.UINT8 if both else fits[True]
    batch = shape[0] if isinstance(shape[0], int) and shape[0] > 0 else None
    return OriginalInput(name=inputs[0].name, output=outputs[0].name, datatype=datatype, is_nchw=is_nchw, batch=batch)


def graph_around(graph: ModelProto, original: OriginalInput, description: ModelDescription, outputs: int) -> ModelProto:
    """The file's graph between our head and our end; its weights stay as they are."""
    assert isinstance(description.input, ImageInput)  # what original_input has looked at
    around = compose.add_prefix(graph, _ORIGINAL)
    weights: list[TensorProto] = []
    head = _head(original, description.input, weights)
    end = _end(graph.graph.output[0], description)
    nodes = [*head, *around.graph.node, *end]
    del around.graph.node[:], around.graph.input[:], around.graph.output[:]
    around.graph.node.extend(nodes)
    around.graph.initializer.extend(weights)
    spec = description.input.spec()
    row_shape = description.input.preprocessor.row_shape
    around.graph.input.append(helper.make_tensor_value_info(spec.name, TensorProto.UINT8, [BATCH_AXIS, *row_shape]))
    around.graph.output.append(
        helper.make_tensor_value_info(description.output_name, TensorProto.FLOAT, [BATCH_AXIS, outputs])
    )
    # What came in with a newer file format, graphs of networks do not use; whether this one does, loading it tells.
    around.ir_version = min(around.ir_version, NEWEST_IR_VERSION)
    strip_machine_traces(around)
    return around


def _layouts(height: int, width: int, channels: int) -> dict[bool, tuple[int, ...]]:
    return {True: (channels, height, width), False: (height, width, channels)}


def _fits(shape: tuple[int | str, ...], wanted: tuple[int, ...]) -> bool:
    rest = shape[1:]
    return len(rest) == 3 and all(
        isinstance(size, str) or size == fixed for size, fixed in zip(rest, wanted, strict=True)
    )


def _head(original: OriginalInput, given: ImageInput, weights: list[TensorProto]) -> list[NodeProto]:
    """uint8 [batch, H, W, C] to what the file takes."""
    value = given.spec().name
    nodes: list[NodeProto] = []

    def then(operator: str, *constants: np.ndarray, **attributes: Any) -> None:
        nonlocal value
        names = [f"head.{operator.lower()}"] if constants else []
        weights.extend(numpy_helper.from_array(constant, name) for constant, name in zip(constants, names, strict=True))
        result = f"head.{len(nodes)}"
        nodes.append(
            helper.make_node(operator, [value, *names], [result], name=f"head/{operator}_{len(nodes)}", **attributes)
        )
        value = result

    if not original.takes_pixels:
        then("Cast", to=TensorProto.FLOAT)
        then("Mul", np.array(given.scale, np.float32))
        then("Sub", np.array(given.mean, np.float32))
        then("Div", np.array(given.standard_deviation, np.float32))
    if original.is_nchw:
        then("Transpose", perm=[0, 3, 1, 2])
    then("Cast", to=original.datatype)
    nodes[-1].output[0] = _ORIGINAL + original.name
    return nodes


def _end(output: ValueInfoProto, description: ModelDescription) -> list[NodeProto]:
    """What the file gives to float32 probabilities or values; a softmax for logits."""
    value, nodes = _ORIGINAL + output.name, []
    if output.type.tensor_type.elem_type != TensorProto.FLOAT:
        nodes.append(helper.make_node("Cast", [value], ["end.float"], name="end/Cast", to=TensorProto.FLOAT))
        value = "end.float"
    if description.adds_softmax:
        return [*nodes, helper.make_node("Softmax", [value], [description.output_name], name="end/Softmax", axis=1)]
    return [*nodes, helper.make_node("Identity", [value], [description.output_name], name="end/Identity")]
