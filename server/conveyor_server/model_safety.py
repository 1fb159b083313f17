"""What a model file may not make the server do: read files elsewhere, or run code that is not ONNX Runtime's own.

Looks at the file's own words, before ONNX Runtime does, with the small walk over the wire format.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from conveyor_contract import wire
from conveyor_server.errors import LoadError

# ONNX's own operators, and those that are built into ONNX Runtime.
OWN_DOMAINS: Final = frozenset(
    {
        *("", "ai.onnx", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview", "ai.onnx.preview.training"),
        *("com.microsoft", "com.microsoft.nchwc", "com.microsoft.experimental", "com.ms.internal.nhwc"),
        "org.pytorch.aten",
    }
)
# Holds a compiled program, or names a file that does.
PROGRAM_OPERATOR: Final = "EPContext"
# Graphs within graphs: bodies of loops and branches.
MAX_DEPTH: Final = 32

# Field numbers of ONNX's messages.
_MODEL_GRAPH, _MODEL_FUNCTION = 7, 25
_GRAPH_NODE, _GRAPH_TENSORS, _GRAPH_SPARSE = 1, 5, 15
_NODE_OPERATOR, _NODE_ATTRIBUTE, _NODE_DOMAIN = 4, 5, 7
_ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS, _ATTRIBUTE_SPARSE = (5, 10), (6, 11), (22, 23)
_SPARSE_TENSORS: Final = (1, 2)
_TENSOR_EXTERNAL: Final = 13
_FUNCTION_NODE, _FUNCTION_DOMAIN = 7, 10
_ENTRY_KEY, _ENTRY_VALUE = 1, 2


def check_model_file(path: Path, *, allow_custom_operators: bool) -> None:
    """Raises LoadError for data outside of the file's own folder, and for operators that need a library."""
    with path.open("rb") as file:
        data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    try:
        outline = _Outline()
        outline.read_model(data)
    except (ValueError, UnicodeDecodeError) as error:
        raise LoadError(f"{path} is not an ONNX file ({error}).") from error
    folder = path.parent.resolve()
    for location in sorted(outline.locations):
        if not (folder / location).resolve().is_relative_to(folder):
            raise LoadError(f"{path} has weights in {location!r}, outside of its own folder; move them into it.")
    if allow_custom_operators:
        return
    foreign = sorted(outline.domains - OWN_DOMAINS - outline.own_functions)
    if foreign:
        raise LoadError(
            f"{path} uses operators of {foreign[0]!r}, which ONNX Runtime does not have; "
            "allow their library with --allow-custom-operators."
        )
    if PROGRAM_OPERATOR in outline.operators:
        raise LoadError(f"{path} holds a compiled program ({PROGRAM_OPERATOR}); serve the model that it was made of.")


def stands_alone(content: bytes) -> bool:
    """Whether ONNX Runtime needs nothing but a file's own bytes: no data in other files, no other library.

    Raises ValueError for malformed bytes.
    """
    outline = _Outline()
    outline.read_model(memoryview(content))
    return not outline.locations and outline.domains <= OWN_DOMAINS and PROGRAM_OPERATOR not in outline.operators


class _Outline:
    """The places of external data, and which operators there are."""

    def __init__(self) -> None:
        self.locations: set[str] = set()
        self.domains: set[str] = set()
        self.operators: set[str] = set()
        self.own_functions: set[str] = set()

    def read_model(self, data: memoryview) -> None:
        """Raises ValueError for malformed bytes."""
        for field, content in messages(data):
            if field == _MODEL_GRAPH:
                self._read_graph(content, 0)
            elif field == _MODEL_FUNCTION:
                self._read_function(content)

    def _read_function(self, data: memoryview) -> None:
        for field, content in messages(data):
            if field == _FUNCTION_NODE:
                self._read_node(content, 0)
            elif field == _FUNCTION_DOMAIN:
                self.own_functions.add(_text(content))

    def _read_graph(self, data: memoryview, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise ValueError(f"more than {MAX_DEPTH} graphs within each other")
        for field, content in messages(data):
            if field == _GRAPH_NODE:
                self._read_node(content, depth)
            elif field == _GRAPH_TENSORS:
                self._read_tensor(content)
            elif field == _GRAPH_SPARSE:
                self._read_sparse(content)

    def _read_node(self, data: memoryview, depth: int) -> None:
        for field, content in messages(data):
            if field == _NODE_DOMAIN:
                self.domains.add(_text(content))
            elif field == _NODE_OPERATOR:
                self.operators.add(_text(content))
            elif field == _NODE_ATTRIBUTE:
                self._read_attribute(content, depth)

    def _read_attribute(self, data: memoryview, depth: int) -> None:
        for field, content in messages(data):
            if field in _ATTRIBUTE_TENSORS:
                self._read_tensor(content)
            elif field in _ATTRIBUTE_GRAPHS:
                self._read_graph(content, depth + 1)
            elif field in _ATTRIBUTE_SPARSE:
                self._read_sparse(content)

    def _read_sparse(self, data: memoryview) -> None:
        for field, content in messages(data):
            if field in _SPARSE_TENSORS:
                self._read_tensor(content)

    def _read_tensor(self, data: memoryview) -> None:
        for field, content in messages(data):
            if field == _TENSOR_EXTERNAL:
                entry = {number: _text(part) for number, part in messages(content)}
                if entry.get(_ENTRY_KEY) == "location":
                    self.locations.add(entry.get(_ENTRY_VALUE, ""))


def messages(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """The fields that hold bytes of their own: messages and texts."""
    for field in wire.fields(data):
        if field.wire_type == wire.LENGTH_DELIMITED:
            yield field.number, data[field.value_start : field.end]


def _text(content: memoryview) -> str:
    return bytes(content).decode()
