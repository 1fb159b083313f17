"""Requests that are nearly right, nearly messages, or neither; everything follows from one source of chance."""

import random
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from tests.fuzz.methods import Rpc

CORPUS = Path(__file__).parent / "corpus" / "messages.txt"
MAX_DEPTH = 4
MAX_ITEMS = 3
LONG = "x" * 1_000_000
TEXTS = (
    *("", "tiny", "1", "2", "image", "probabilities", "UINT8", "FP32", "BYTES", "class 1", "latest"),
    *("../../etc/passwd", "/dev/shm/x", "a\nb", "\x00", "\u202e", "x" * 300, "{", '{"max_batch_size": 1e9}', "true"),
    *("1" * 5000, LONG, LONG.replace("x", "\u20ac")),
)
NUMBERS = (0, 1, 2, 3, 8, 64, 255, -1, 2**31 - 1, -(2**31), 2**32 - 1, 2**63 - 1, -(2**63), 2**64 - 1)
FLOATS = (0.0, 1.0, -1.0, 0.5, 1e30, -1e-30, float("inf"), float("-inf"), float("nan"))
TEXT_KINDS = (FieldDescriptor.CPPTYPE_STRING,)
FLOAT_KINDS = (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE)
BITS = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}


@dataclass(frozen=True, kw_only=True)
class Shot:
    """What is sent to one method: a message, or several in a stream."""

    rpc: Rpc
    payloads: Sequence[bytes]


def corpus() -> dict[str, list[bytes]]:
    """Payloads worth keeping, by the path of their method: right ones, and those that once found something."""
    kept: dict[str, list[bytes]] = {}
    for line in CORPUS.read_text().splitlines():
        if line and not line.startswith("#"):
            path, _, payload = line.partition(" ")
            kept.setdefault(path, []).append(b64decode(payload))
    return kept


def shot(choice: random.Random, rpcs: Sequence[Rpc], kept: dict[str, list[bytes]]) -> Shot:
    """One, at random."""
    rpc = choice.choice(rpcs)
    count = choice.randint(1, 3) if rpc.is_stream else 1
    return Shot(rpc=rpc, payloads=[_payload(choice, rpc, kept) for _ in range(count)])


def _payload(choice: random.Random, rpc: Rpc, kept: dict[str, list[bytes]]) -> bytes:
    known = kept.get(rpc.path)
    kind = choice.randrange(8)
    if kind == 0:
        return bytes(choice.randrange(256) for _ in range(choice.randrange(40)))
    if known and kind == 1:
        return choice.choice(known)
    base = choice.choice(known) if known and kind < 6 else random_message(choice, rpc.request).SerializeToString()
    return base if kind == 7 else mutated(choice, base)


def mutated(choice: random.Random, data: bytes) -> bytes:
    """The bytes with one to three injuries."""
    for _ in range(choice.randint(1, 3)):
        position = choice.randrange(len(data) + 1)
        kind = choice.randrange(6)
        if kind == 0:
            data = data[:position]
        elif kind == 1:
            data = data[:position] + bytes([choice.randrange(256)]) + data[position + 1 :]
        elif kind == 2:
            data = data[:position] + data[position + choice.randint(1, 8) :]
        elif kind == 3:
            data = data[:position] + bytes(choice.randrange(256) for _ in range(choice.randint(1, 8))) + data[position:]
        elif kind == 4:
            end = position + choice.randint(1, 64)
            data = data[:end] + data[position:]
        else:
            # A length that promises far more than there is.
            data = data[:position] + b"\xff\xff\xff\xff\x07" + data[position:]
    return data


def random_message(choice: random.Random, kind: Descriptor, depth: int = 0) -> Message:
    """A message of that kind: right in form, and probably nonsense."""
    message = GetMessageClass(kind)()
    for field in kind.fields:
        if depth < MAX_DEPTH and choice.random() < 0.5:
            _fill(choice, message, field, depth)
    return message


def _fill(choice: random.Random, message: Message, field: FieldDescriptor, depth: int) -> None:
    target: Any = getattr(message, field.name)
    if not _is_repeated(field):
        if field.message_type is not None:
            target.CopyFrom(random_message(choice, field.message_type, depth + 1))
        else:
            setattr(message, field.name, _value(choice, field))
        return
    for _ in range(choice.randint(0, MAX_ITEMS)):
        if field.message_type is None:
            target.append(_value(choice, field))
        elif field.message_type.GetOptions().map_entry:
            _fill_map(choice, target, field.message_type, depth)
        else:
            target.add().CopyFrom(random_message(choice, field.message_type, depth + 1))


def _fill_map(choice: random.Random, target: Any, entry: Descriptor, depth: int) -> None:
    key, value = entry.fields_by_name["key"], entry.fields_by_name["value"]
    if value.message_type is not None:
        target[_value(choice, key)].CopyFrom(random_message(choice, value.message_type, depth + 1))
    else:
        target[_value(choice, key)] = _value(choice, value)


def _value(choice: random.Random, field: FieldDescriptor) -> Any:
    if field.type == FieldDescriptor.TYPE_BYTES:
        return bytes(choice.randrange(256) for _ in range(choice.choice((0, 1, 4, 64, 256))))
    if field.cpp_type in TEXT_KINDS:
        return choice.choice(TEXTS)
    if field.cpp_type in FLOAT_KINDS:
        return choice.choice(FLOATS)
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return choice.random() < 0.5
    if field.enum_type is not None:
        return choice.choice([value.number for value in field.enum_type.values])
    least, most = BITS[field.cpp_type]
    return min(max(choice.choice(NUMBERS), least), most)


def _is_repeated(field: FieldDescriptor) -> bool:
    return bool(field.is_repeated)
