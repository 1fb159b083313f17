"""JSON schemas of what REST answers: of a protocol message, just as `messages.py` writes it, and of the rest."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, MutableSequence
from typing import Any, Final

from google.protobuf import message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from conveyor_server.http.rest.messages import fields_of, map_value

Schema = dict[str, Any]

NUMBER: Final[Schema] = {"anyOf": [{"type": "number"}, {"enum": ["NaN", "Infinity", "-Infinity"]}]}
TEXT: Final[Schema] = {"type": "string"}
BYTES_OF_A_FILE: Final[Schema] = {}
_OTHERS: Final[dict[int, Schema]] = {
    FieldDescriptor.CPPTYPE_DOUBLE: NUMBER,
    FieldDescriptor.CPPTYPE_FLOAT: NUMBER,
    FieldDescriptor.CPPTYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.CPPTYPE_STRING: TEXT,
}


def schema_of(kind: type[Message]) -> Schema:
    """Every field is always there, but for those that can be absent."""
    empty = kind()
    fields = fields_of(empty)
    return _object(
        {field.name: _field_schema(field, getattr(empty, field.name)) for field in fields},
        [field.name for field in fields if not field.has_presence],
    )


def record(**members: Schema) -> Schema:
    """An object that has all of these members."""
    return _object(members, list(members))


def optional(schema: Schema, **members: Schema) -> Schema:
    """An object that may have more."""
    return {**schema, "properties": {**schema["properties"], **members}}


def list_of(schema: Schema) -> Schema:
    """An array."""
    return {"type": "array", "items": schema}


def map_of(schema: Schema) -> Schema:
    """An object with any names."""
    return {"type": "object", "additionalProperties": schema}


def _object(properties: Mapping[str, Schema], required: list[str]) -> Schema:
    return {"type": "object", "properties": dict(properties), "required": required, "additionalProperties": False}


def _field_schema(field: FieldDescriptor, empty: object) -> Schema:
    if isinstance(empty, MutableMapping):
        return map_of(_single_schema(map_value(field)))
    if isinstance(empty, MutableSequence):
        return list_of(_single_schema(field))
    return _single_schema(field)


def _single_schema(field: FieldDescriptor) -> Schema:
    if field.message_type is not None:
        return schema_of(message_factory.GetMessageClass(field.message_type))
    if field.enum_type is not None:
        return {"type": "string", "enum": [value.name for value in field.enum_type.values]}
    return _OTHERS.get(field.cpp_type, {"type": "integer"})
