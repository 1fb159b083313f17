"""Protocol messages as JSON: the fields' own names, numbers as numbers, enums by name, bytes in base64."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any, cast

import numpy as np
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

Json = dict[str, Any]


def json_of(message: Message) -> Json:
    """Every field; of those that can be absent only what is there."""
    content: Json = {}
    for field in fields_of(message):
        if field.has_presence and not message.HasField(field.name):
            continue
        content[field.name] = _value(field, getattr(message, field.name))
    return content


def fields_of(message: Message) -> Sequence[FieldDescriptor]:
    """The fields of a message's type."""
    # Their typing stubs tell Python's descriptors from those in C, which are the same to use.
    return cast("Sequence[FieldDescriptor]", message.DESCRIPTOR.fields)


def map_value(field: FieldDescriptor) -> FieldDescriptor:
    """What a map holds under each of its keys."""
    assert field.message_type is not None
    value: FieldDescriptor = field.message_type.fields_by_name["value"]
    return value


def _value(field: FieldDescriptor, value: Any) -> Any:
    if isinstance(value, MutableMapping):
        of_entry = map_value(field)
        return {str(key): _single(of_entry, value[key]) for key in sorted(value)}
    if isinstance(value, MutableSequence):
        return [_single(field, element) for element in value]
    return _single(field, value)


def _single(field: FieldDescriptor, value: Any) -> Any:
    if isinstance(value, Message):
        return json_of(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return value if known is None else known.name
    if isinstance(value, float):
        return _number(value, is_short=field.type == FieldDescriptor.TYPE_FLOAT)
    return value


def _number(value: float, *, is_short: bool) -> float | str:
    """In the shortest text that means the same: 0.1, where the float64 of a float's 0.1 is 0.10000000149."""
    if not math.isfinite(value):
        # As protobuf's own JSON has them.
        return {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")
    return float(str(np.float32(value))) if is_short else value


def text_of(content: Mapping[str, Any] | list[Any]) -> bytes:
    """JSON text. The values of a tensor may be NaN and Infinity, which the protocol's clients read."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
