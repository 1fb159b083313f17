"""A tensor's values between JSON and the raw contents that the gRPC messages carry."""

from __future__ import annotations

import binascii
import math
from collections.abc import Sequence
from itertools import chain
from typing import Any, Final

import numpy as np

from conveyor_server.batch import Rows
from conveyor_server.datatypes import BYTES, DATATYPES, Datatype
from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.inference.contents import elements_of_raw, raw_of_array, raw_of_elements
from conveyor_server.shortening import shortened

_BASE64: Final = "b64"
# By numpy's kind: what JSON values may be, and what that is called.
_ALLOWED: Final[dict[str, tuple[set[type], str]]] = {
    "b": ({bool}, "true or false"),
    "i": ({int}, "whole numbers"),
    "u": ({int}, "whole numbers of at least 0"),
    "f": ({int, float}, "numbers"),
    "O": ({str, dict}, 'texts, or {"b64": "..."}'),
}


def raw_of_json(name: str, data: list[Any], datatype_name: str, shape: Sequence[int]) -> bytes:
    """The raw contents of an input given as JSON. Raises ServingError for values that are not of type and shape."""
    datatype = DATATYPES.get(datatype_name)
    if datatype is None:
        raise _invalid(
            f"input '{name}' has the datatype '{shortened(datatype_name)}'; there are {', '.join(DATATYPES)}"
        )
    flat = _flattened(name, data, shape)
    if len(flat) != math.prod(shape):
        expected = math.prod(shape)
        raise _invalid(f"unexpected number of elements {len(flat)} for input '{name}', expecting {expected}")
    allowed, words = _ALLOWED[datatype.dtype.kind]
    if not set(map(type, flat)) <= allowed:
        raise _invalid(f"input '{name}' of datatype {datatype_name} has values that are not {words}")
    if datatype is BYTES:
        return raw_of_elements([_element(name, value) for value in flat])
    return raw_of_array(_array(name, flat, datatype))


def json_of_raw(name: str, raw: bytes, datatype_name: str, shape: Sequence[int]) -> list[Any]:
    """The values of an output, flat and row-major. Raises ServingError for bytes that are no text."""
    datatype = DATATYPES[datatype_name]
    if datatype is not BYTES:
        values: list[Any] = np.frombuffer(raw, datatype.dtype).tolist()
        return values
    try:
        return [element.decode() for element in elements_of_raw(name, raw, math.prod(shape))]
    except UnicodeDecodeError as error:
        raise _invalid(f"output '{name}' holds bytes that are not text; ask for it as binary data") from error


def _flattened(name: str, data: list[Any], shape: Sequence[int]) -> list[Any]:
    """The elements in their order: `data` is flat already, or nested just as the shape says."""
    if list not in set(map(type, data)):
        return data
    level: list[Any] = [data]
    for axis, size in enumerate(shape):
        if not set(map(type, level)) <= {list} or not set(map(len, level)) <= {size}:
            words = f"'data' of input '{name}' is nested unlike its shape [{','.join(map(str, shape))}]: axis {axis}"
            raise _invalid(f"{words} should be lists of {size}")
        level = list(chain.from_iterable(level))
    return level


def _array(name: str, flat: list[Any], datatype: Datatype) -> Rows:
    dtype = datatype.dtype
    try:
        if dtype.kind != "f":
            return np.array(flat, dtype)
        # By way of the widest, as out of range is told from infinite there.
        wide = np.array(flat, np.float64)
        with np.errstate(over="ignore"):
            narrow = wide.astype(dtype)
    except OverflowError as error:
        raise _out_of_range(name, datatype) from error
    if dtype.itemsize < wide.dtype.itemsize and not np.array_equal(np.isinf(wide), np.isinf(narrow)):
        raise _out_of_range(name, datatype)
    return narrow


def _element(name: str, value: str | dict[str, Any]) -> bytes:
    if isinstance(value, str):
        return value.encode()
    encoded = value.get(_BASE64)
    if len(value) != 1 or not isinstance(encoded, str):
        raise _invalid(f'input \'{name}\' has an object that is not {{"b64": "..."}}')
    try:
        return binascii.a2b_base64(encoded, strict_mode=True)
    except (binascii.Error, ValueError) as error:
        raise _invalid(f"input '{name}' has a b64 that is not base64 ({error})") from error


def _out_of_range(name: str, datatype: Datatype) -> ServingError:
    return _invalid(f"input '{name}' has values that are out of the range of {datatype.name}")


def _invalid(message: str) -> ServingError:
    return ServingError(ErrorKind.INVALID_ARGUMENT, message)
