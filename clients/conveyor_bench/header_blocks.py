"""The two ends of a call in HPACK (RFC 7541): the request's header block, and grpc-status out of the trailers.

Nothing is ever put into the dynamic table, so blocks are constants and can be remembered whole.
"""

from functools import lru_cache

# The codes of the few letters that trailers are searched for (RFC 7541, appendix B).
_CODES = {
    "-": "010110", "a": "00011", "c": "00100", "g": "100110", "p": "101011", "r": "101100", "s": "01000",
    "t": "01001", "u": "101101", "0": "00000", "1": "00001", "2": "00010", "3": "011001", "4": "011010",
    "5": "011011", "6": "011100", "7": "011101", "8": "011110", "9": "011111",
}  # fmt: skip
# In the order of their numbers.
_NAMES = str.split(
    "OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED "
    "RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS "
    "UNAUTHENTICATED"
)
_PATH, _AUTHORITY, _CONTENT_TYPE, _USER_AGENT = 4, 1, 31, 58
_POST, _HTTP, _HTTPS = b"\x83", b"\x86", b"\x87"


def request_block(authority: str, path: str, timeout: float, tls: bool) -> bytes:
    """The header block of a gRPC call; timeout in seconds."""
    return b"".join(
        (
            _POST,
            _HTTPS if tls else _HTTP,
            _literal(_PATH, path),
            _literal(_AUTHORITY, authority),
            _literal(_CONTENT_TYPE, "application/grpc"),
            _literal(_USER_AGENT, "conveyor-bench"),
            _literal("te", "trailers"),
            _literal("grpc-timeout", f"{round(timeout * 1000)}m"),
        )
    )


@lru_cache(maxsize=1024)
def grpc_status(block: bytes) -> str:
    """The name of the gRPC code in a header block; UNKNOWN when there is none."""
    fields = _literals(block)
    for name in (b"grpc-status", _huffman("grpc-status")):
        if name in fields:
            return _STATUSES.get(fields[name], "UNKNOWN")
    return "UNKNOWN"


def _literal(name: int | str, value: str) -> bytes:
    """A field that no table remembers, its name from the static table or spelt out."""
    head = _integer(name, 4, 0) if isinstance(name, int) else b"\0" + _string(name)
    return head + _string(value)


def _string(text: str) -> bytes:
    data = text.encode()
    return _integer(len(data), 7, 0) + data


def _integer(value: int, bits: int, first: int) -> bytes:
    limit = (1 << bits) - 1
    if value < limit:
        return bytes([first | value])
    rest, encoded = value - limit, bytearray([first | limit])
    while rest >= 128:
        encoded.append(rest & 127 | 128)
        rest >>= 7
    encoded.append(rest)
    return bytes(encoded)


def _literals(block: bytes) -> dict[bytes, bytes]:
    """Fields whose names are spelt out, names and values as they are on the wire, Huffman-coded or not."""
    fields, place = {}, 0
    while place < len(block):
        first = block[place]
        if first & 0x80:  # a whole field of the static table
            _, place = _read_integer(block, place, 7)
        elif first & 0xE0 == 0x20:  # a change of the table's size
            _, place = _read_integer(block, place, 5)
        else:
            index, place = _read_integer(block, place, 6 if first & 0x40 else 4)
            name = b""
            if index == 0:
                name, place = _read_string(block, place)
            value, place = _read_string(block, place)
            fields[name] = value
    return fields


def _read_string(block: bytes, place: int) -> tuple[bytes, int]:
    length, place = _read_integer(block, place, 7)
    return block[place : place + length], place + length


def _read_integer(block: bytes, place: int, bits: int) -> tuple[int, int]:
    limit = (1 << bits) - 1
    value, place, shift = block[place] & limit, place + 1, 0
    if value < limit:
        return value, place
    while place < len(block):
        value += (block[place] & 127) << shift
        shift += 7
        place += 1
        if not block[place - 1] & 128:
            break
    return value, place


def _huffman(text: str) -> bytes:
    bits = "".join(_CODES[letter] for letter in text)
    bits += "1" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


_STATUSES = {form(str(number)): name for number, name in enumerate(_NAMES) for form in (str.encode, _huffman)}
