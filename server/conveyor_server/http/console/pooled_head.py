"""Whether a graph ends in global average pooling, one dense layer and softmax, read from the file's own words."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from conveyor_contract import wire
from conveyor_server.batch import Rows
from conveyor_server.model_safety import messages

# What keeps the pooled values as they are, and in their order.
_SHAPERS: Final = ("Flatten", "Reshape", "Squeeze")
_POOLS: Final = ("GlobalAveragePool", "ReduceMean")
_SPACE: Final = {2, 3}  # axes of (n, channels, height, width)

# Field numbers and element types of ONNX's messages.
_MODEL_GRAPH, _MODEL_FUNCTION = 7, 25
_GRAPH_NODE, _GRAPH_TENSOR, _GRAPH_OUTPUT = 1, 5, 12
_NODE_INPUT, _NODE_OUTPUT, _NODE_OPERATOR, _NODE_ATTRIBUTE, _NODE_DOMAIN = 1, 2, 4, 5, 7
_ATTRIBUTE_NAME, _ATTRIBUTE_FLOAT, _ATTRIBUTE_INT, _ATTRIBUTE_INTS = 1, 2, 3, 8
_TENSOR_SIZE, _TENSOR_TYPE, _TENSOR_NAME, _TENSOR_RAW = 1, 2, 8, 9
_DTYPES: Final[Mapping[int, np.dtype[np.generic]]] = {1: np.dtype("<f4"), 7: np.dtype("<i8")}
_VALUE_NAME: Final = 1


@dataclass(frozen=True, kw_only=True)
class PooledHead:
    """`feature` names the tensor (n, channels, height, width) before the pooling.

    `weights`, float32 (classes, channels), are the dense layer's.
    """

    feature: str
    weights: Rows


def find_pooled_head(content: bytes, output: str) -> PooledHead | None:
    """The head of an ONNX file whose only output is `output`; None where it ends in any other way."""
    try:
        return _head_of(_read_model(memoryview(content)), output)
    except ValueError:
        return None


def with_output(content: bytes, name: str) -> bytes:
    """The same ONNX file with one more output: messages that follow each other are one message."""
    value = wire.length_delimited(_VALUE_NAME, name.encode())
    return content + wire.length_delimited(_MODEL_GRAPH, wire.length_delimited(_GRAPH_OUTPUT, value))


@dataclass(frozen=True, kw_only=True)
class _Node:
    operator: str
    inputs: Sequence[str]
    outputs: Sequence[str]
    attributes: Mapping[str, Sequence[float]]

    def number(self, name: str, default: float) -> float:
        """An attribute of one number; the file may leave a zero out."""
        values = self.attributes.get(name, [default])
        return values[0] if values else 0

    def input(self, index: int) -> str:
        if index >= len(self.inputs):
            raise ValueError(f"{self.operator} has no input {index}")
        return self.inputs[index]


@dataclass(frozen=True, kw_only=True)
class _Graph:
    makers: Mapping[str, _Node]
    tensors: Mapping[str, memoryview]
    outputs: Sequence[str]

    def maker(self, tensor: str, *operators: str) -> _Node:
        """What makes the tensor. Raises ValueError where that is none of the operators."""
        node = self.makers.get(tensor)
        if node is None or node.operator not in operators:
            raise ValueError(f"{tensor} is not made by any of {operators}")
        return node

    def constant(self, name: str, axes: int) -> Rows:
        """A tensor of the file. Raises ValueError for one of another rank, that is elsewhere, or of another type."""
        if name not in self.tensors or name in self.makers:
            raise ValueError(f"{name} is not a constant of the file")
        array = _read_tensor(self.tensors[name])
        if array.ndim != axes:
            raise ValueError(f"{name} has {array.ndim} axes")
        return array


def _head_of(graph: _Graph, output: str) -> PooledHead:
    if list(graph.outputs) != [output]:
        raise ValueError("other outputs")
    softmax = graph.maker(output, "Softmax")
    if softmax.number("axis", -1) not in (1, -1):
        raise ValueError("softmax over another axis")
    weights, pooled = _dense(graph, softmax.input(0))
    pool = graph.maker(pooled, *_SHAPERS, *_POOLS)
    if pool.operator in _SHAPERS:
        pool = graph.maker(pool.input(0), *_POOLS)
    if pool.operator == "ReduceMean" and {int(axis) % 4 for axis in _axes(graph, pool)} != _SPACE:
        raise ValueError("a mean over other axes")
    feature = pool.input(0)
    if feature not in graph.makers:
        raise ValueError("nothing comes before the pooling")
    return PooledHead(feature=feature, weights=weights)


def _dense(graph: _Graph, logits: str) -> tuple[Rows, str]:
    """The weights (classes, channels) of the dense layer that makes the logits, and what it is given."""
    dense = graph.maker(logits, "Gemm", "MatMul", "Add")
    if dense.operator == "Add":
        products = [name for name in dense.inputs if name in graph.makers]
        if len(products) != 1:
            raise ValueError("a sum of more than a product and a bias")
        dense = graph.maker(products[0], "MatMul")
    weights = graph.constant(dense.input(1), axes=2)
    if weights.dtype != np.float32:
        raise ValueError("weights that are not float32")
    if dense.operator == "Gemm":
        if dense.number("alpha", 1) != 1 or dense.number("transA", 0):
            raise ValueError("not a plain product")
        if dense.number("transB", 0):
            return weights, dense.input(0)
    return weights.T, dense.input(0)


def _axes(graph: _Graph, mean: _Node) -> Sequence[float]:
    # Up to opset 17 an attribute, from 18 on an input.
    if "axes" in mean.attributes:
        return mean.attributes["axes"]
    axes: Sequence[float] = graph.constant(mean.input(1), axes=1).tolist()
    return axes


def _read_model(data: memoryview) -> _Graph:
    nodes: list[_Node] = []
    tensors: dict[str, memoryview] = {}
    outputs: list[str] = []
    for number, content in messages(data):
        if number == _MODEL_FUNCTION:
            # Its operators may mean anything.
            raise ValueError("functions of its own")
        for part, inner in messages(content) if number == _MODEL_GRAPH else ():
            if part == _GRAPH_NODE:
                nodes.append(_read_node(inner))
            elif part == _GRAPH_TENSOR:
                tensors[_name(inner, _TENSOR_NAME)] = inner
            elif part == _GRAPH_OUTPUT:
                outputs.append(_name(inner, _VALUE_NAME))
    makers = {name: node for node in nodes for name in node.outputs}
    return _Graph(makers=makers, tensors=tensors, outputs=outputs)


def _read_node(data: memoryview) -> _Node:
    texts: dict[int, list[str]] = {field: [] for field in (_NODE_INPUT, _NODE_OUTPUT, _NODE_OPERATOR, _NODE_DOMAIN)}
    attributes = {}
    for number, content in messages(data):
        if number in texts:
            texts[number].append(bytes(content).decode())
        elif number == _NODE_ATTRIBUTE:
            attributes[_name(content, _ATTRIBUTE_NAME)] = _read_numbers(content)
    own = set(texts[_NODE_DOMAIN]) <= {"", "ai.onnx"}
    operator = "".join(texts[_NODE_OPERATOR]) if own else ""
    return _Node(operator=operator, inputs=texts[_NODE_INPUT], outputs=texts[_NODE_OUTPUT], attributes=attributes)


def _read_numbers(data: memoryview) -> Sequence[float]:
    """An attribute's number or numbers; none where it holds something else, or one zero."""
    values: list[float] = []
    for field in wire.fields(data):
        if field.number == _ATTRIBUTE_FLOAT and field.wire_type == wire.FIXED32:
            values.extend(struct.unpack("<f", data[field.value_start : field.end]))
        elif field.number in (_ATTRIBUTE_INT, _ATTRIBUTE_INTS) and field.wire_type == wire.VARINT:
            values.append(field.varint - (1 << 64) if field.varint >> 63 else field.varint)
    return values


def _read_tensor(data: memoryview) -> Rows:
    """A tensor whose values stand in the file as plain bytes. Raises ValueError for any other."""
    sizes: list[int] = []
    dtype, raw = None, None
    for field in wire.fields(data):
        if field.number == _TENSOR_SIZE:
            sizes.append(field.varint)
        elif field.number == _TENSOR_TYPE:
            dtype = _DTYPES.get(field.varint)
        elif field.number == _TENSOR_RAW:
            raw = data[field.value_start : field.end]
    if dtype is None or raw is None:
        raise ValueError("a tensor of another type, or in another form")
    # A copy, so that the file's bytes are not kept.
    return np.frombuffer(raw, dtype).reshape(sizes).copy()


def _name(data: memoryview, field: int) -> str:
    return "".join(bytes(content).decode() for number, content in messages(data) if number == field)
