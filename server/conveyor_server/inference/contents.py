"""A tensor's bytes to an array and back: raw contents without a copy, typed contents, and BYTES elements."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from conveyor_server.batch import Rows
from conveyor_server.datatypes import BYTES, Datatype
from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.inference import inference_pb2 as pb
from conveyor_server.shortening import first_of

# The field of InferTensorContents for each datatype. FP16 has none: it is raw only.
TYPED_FIELDS: Final = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
# Narrower integers share a wider field, and keep only their own bytes of it.
_FIELD_DTYPES: Final = {"int_contents": np.dtype("<i4"), "uint_contents": np.dtype("<u4")}
_LENGTH_BYTES: Final = 4


def array_of_raw(name: str, raw: bytes | memoryview, datatype: Datatype, shape: Sequence[int]) -> Rows:
    """Raw contents as an array of the shape; a view of the bytes, except for BYTES. Raises ServingError."""
    if datatype is BYTES:
        return _objects(name, elements_of_raw(name, raw, math.prod(shape)), shape)
    check_byte_size(name, len(raw), datatype, shape)
    return _shaped(name, np.frombuffer(raw, datatype.dtype), shape)


def check_byte_size(name: str, byte_size: int, datatype: Datatype, shape: Sequence[int]) -> None:
    """For every datatype but BYTES. Raises ServingError unless the shape has just so many bytes."""
    expected = math.prod(shape) * datatype.dtype.itemsize
    if byte_size != expected:
        raise _invalid(f"unexpected total byte size {byte_size} for input '{name}', expecting {expected}")


def array_of_typed(name: str, contents: pb.InferTensorContents, datatype: Datatype, shape: Sequence[int]) -> Rows:
    """Typed contents as an array of the shape. Raises ServingError when they stand in another datatype's field."""
    field = TYPED_FIELDS.get(datatype.name)
    if field is None:
        raise _invalid(f"input '{name}' has datatype {datatype.name}, which is given in raw_input_contents only")
    foreign = [descriptor.name for descriptor, _ in contents.ListFields() if descriptor.name != field]
    if foreign:
        raise _invalid(f"input '{name}' of datatype {datatype.name} has {foreign[0]}, expecting {field}")
    values = getattr(contents, field)
    expected = math.prod(shape)
    if len(values) != expected:
        raise _invalid(f"unexpected number of elements {len(values)} for input '{name}', expecting {expected}")
    if datatype is BYTES:
        return _objects(name, values, shape)
    array = np.array(values, _FIELD_DTYPES.get(field, datatype.dtype))
    return _shaped(name, array.astype(datatype.dtype, copy=False), shape)


def elements_of_raw(name: str, raw: bytes | memoryview, count: int) -> list[bytes]:
    """The elements of a raw BYTES tensor. Raises ServingError unless there are exactly `count`, each whole."""
    # Every element takes its length at least: so much is known before anything is set aside for them.
    if count * _LENGTH_BYTES > len(raw):
        raise _invalid(f"unexpected number of string elements for input '{name}', expecting {count}")
    elements = []
    view, position = memoryview(raw), 0
    for index in range(count):
        start = position + _LENGTH_BYTES
        position = start + int.from_bytes(view[position:start], "little")
        if position > len(view) or start > len(view):
            raise _invalid(f"incomplete string element {index} of {count} for input '{name}'")
        elements.append(bytes(view[start:position]))
    if position != len(view):
        excess = len(view) - position
        raise _invalid(f"unexpected {excess} bytes after the {count} string elements of input '{name}'")
    return elements


def raw_of_array(array: Rows) -> bytes:
    """An array's raw contents: little-endian, row-major; elements of BYTES each after their length."""
    if array.dtype == BYTES.dtype:
        return raw_of_elements(array.ravel().tolist())
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def raw_of_elements(elements: Iterable[bytes | str]) -> bytes:
    """Raw contents of a BYTES tensor; text is written in UTF-8."""
    parts = []
    for element in elements:
        encoded = element.encode() if isinstance(element, str) else element
        parts += [len(encoded).to_bytes(_LENGTH_BYTES, "little"), encoded]
    return b"".join(parts)


def _objects(name: str, elements: Sequence[bytes], shape: Sequence[int]) -> Rows:
    array = np.empty(len(elements), BYTES.dtype)
    array[:] = elements
    return _shaped(name, array, shape)


def _shaped(name: str, array: Rows, shape: Sequence[int]) -> Rows:
    try:
        return array.reshape(shape)
    except ValueError as error:
        # Without elements the other axes may be of any length, and NumPy has its limits.
        raise _invalid(f"input '{name}' has the shape [{first_of(shape)}], which is too large for any array") from error


def _invalid(message: str) -> ServingError:
    return ServingError(ErrorKind.INVALID_ARGUMENT, message)
