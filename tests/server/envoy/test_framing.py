"""gRPC's framing: whatever way a body is cut into chunks, its messages come out; what is no message is refused."""

import gzip
import struct
import zlib
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conveyor_server.calls import CallError
from conveyor_server.engines.envoy.framing import FrameReader, frame, read_whole
from conveyor_server.statuses import Code
from tests.counts import count

LIMIT = 1000


def read_all(chunks: Sequence[bytes], encoding: bytes | None = None) -> list[bytes]:
    reader = FrameReader(encoding, LIMIT)
    messages = []
    for chunk in chunks:
        reader.feed(chunk)
        while (message := reader.take()) is not None:
            messages.append(message)
    reader.check_end()
    return messages


def compressed(message: bytes) -> bytes:
    return struct.pack(">BI", 1, len(message)) + message


def code_of(body: bytes, encoding: bytes | None = None) -> Code:
    with pytest.raises(CallError) as error:
        read_whole(body, encoding, LIMIT)
    return error.value.code


@settings(max_examples=count("bodies cut into chunks"), deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=6), st.lists(st.integers(0, 200), max_size=8))
def test_messages_come_out_however_the_body_is_cut(sent: list[bytes], cuts: list[int]) -> None:
    body = b"".join(map(frame, sent))
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    assert read_all([body[start:stop] for start, stop in pairwise(edges)]) == sent


def test_the_only_message_of_a_body_is_read() -> None:
    assert read_whole(frame(b"image"), None, LIMIT) == b"image"
    assert read_whole(frame(b""), None, LIMIT) == b""
    assert read_whole(frame(b"x" * LIMIT), None, LIMIT) == b"x" * LIMIT


def test_a_message_over_the_limit_is_refused_before_it_has_arrived() -> None:
    assert code_of(frame(b"x" * (LIMIT + 1))) == Code.RESOURCE_EXHAUSTED
    reader = FrameReader(None, LIMIT)
    reader.feed(struct.pack(">BI", 0, 2**32 - 1))
    with pytest.raises(CallError, match="4294967295 bytes is over the limit of 1000 bytes"):
        reader.take()


def test_no_message_and_several_messages_are_refused() -> None:
    assert code_of(b"") == Code.UNIMPLEMENTED
    assert code_of(frame(b"a") + frame(b"b")) == Code.UNIMPLEMENTED


def test_a_body_that_ends_inside_a_message_is_refused() -> None:
    assert code_of(frame(b"abc")[:-1]) == Code.INVALID_ARGUMENT
    assert code_of(frame(b"abc")[:3]) == Code.INVALID_ARGUMENT


def test_bytes_that_are_no_frame_are_refused() -> None:
    assert code_of(b"GET / HTTP/1.1\r\n\r\n") == Code.INVALID_ARGUMENT


def test_gzip_and_deflate_are_undone() -> None:
    assert read_whole(compressed(gzip.compress(b"image")), b"gzip", LIMIT) == b"image"
    assert read_whole(compressed(zlib.compress(b"image")), b"deflate", LIMIT) == b"image"
    assert read_whole(compressed(gzip.compress(b"x" * LIMIT)), b"gzip", LIMIT) == b"x" * LIMIT
    assert read_all([frame(b"plain"), compressed(gzip.compress(b"other"))], b"gzip") == [b"plain", b"other"]


def test_compressed_garbage_is_refused_and_a_bomb_is_not_unpacked() -> None:
    assert code_of(compressed(b"garbage"), b"gzip") == Code.INVALID_ARGUMENT
    assert code_of(compressed(gzip.compress(b"image")[:-9]), b"gzip") == Code.INVALID_ARGUMENT
    assert code_of(compressed(gzip.compress(b"x" * (LIMIT + 1))), b"gzip") == Code.RESOURCE_EXHAUSTED
    assert code_of(compressed(zlib.compress(bytes(500_000))), b"deflate") == Code.RESOURCE_EXHAUSTED


def test_a_compression_that_is_not_known_is_refused_with_what_to_do() -> None:
    with pytest.raises(CallError, match="use gzip or deflate"):
        read_whole(compressed(b"x"), b"snappy", LIMIT)
