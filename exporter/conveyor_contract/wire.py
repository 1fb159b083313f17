"""A small walk over the protobuf wire format: enough to read an ONNX file's outline without the onnx package.

Format: https://protobuf.dev/programming-guides/encoding. Every reader raises ValueError on malformed bytes.
"""

from collections.abc import Iterator
from dataclasses import dataclass

VARINT, FIXED64, LENGTH_DELIMITED, FIXED32 = 0, 1, 2, 5
_FIXED_SIZES = {FIXED64: 8, FIXED32: 4}


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """One field of a message: [start, end) holds its tag and value, [value_start, end) the value alone."""

    number: int
    wire_type: int
    start: int
    value_start: int
    end: int
    varint: int


def fields(data: memoryview) -> Iterator[Field]:
    """Yields the top-level fields of a message in file order, without copying."""
    position = 0
    while position < len(data):
        start = position
        tag, position = _read_varint(data, position)
        number, wire_type = tag >> 3, tag & 7
        if number == 0:
            raise ValueError(f"field number 0 at byte {start}")
        value_start, varint = position, 0
        if wire_type == VARINT:
            varint, position = _read_varint(data, position)
        elif wire_type == LENGTH_DELIMITED:
            length, value_start = _read_varint(data, position)
            position = value_start + length
        elif wire_type in _FIXED_SIZES:
            position += _FIXED_SIZES[wire_type]
        else:
            raise ValueError(f"wire type {wire_type} at byte {start}")
        if position > len(data):
            raise ValueError(f"field {number} at byte {start} runs past the end")
        yield Field(
            number=number,
            wire_type=wire_type,
            start=start,
            value_start=value_start,
            end=position,
            varint=varint,
        )


def length_delimited(number: int, value: bytes) -> bytes:
    """Encodes one string, bytes or message field."""
    return _varint(number << 3 | LENGTH_DELIMITED) + _varint(len(value)) + value


def _read_varint(data: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            raise ValueError(f"truncated number at byte {position}")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError(f"number of more than ten bytes at byte {position}")


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
