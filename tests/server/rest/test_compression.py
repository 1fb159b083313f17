"""Bodies that are packed: read as far as the limit, and answers packed where that is worth it."""

import asyncio
import gzip
import zlib
from collections.abc import Callable

import pytest

from conveyor_server.errors import ServingError
from conveyor_server.http.rest.compression import deflate, inflate
from conveyor_server.http.rest.statuses import HttpError

LIMIT = 1_000_000
PACK: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "deflate": zlib.compress}
UNPACK: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.decompress, "deflate": zlib.decompress}


@pytest.mark.parametrize("encoding", PACK)
@pytest.mark.parametrize("size", [0, 1, LIMIT])
def test_a_packed_body_is_unpacked(encoding: str, size: int) -> None:
    body = bytes(range(256)) * (size // 256) + b"." * (size % 256)
    assert asyncio.run(inflate(PACK[encoding](body), f" {encoding.upper()} ", LIMIT)) == body


@pytest.mark.parametrize("encoding", ["", "identity"])
def test_any_other_body_stays_as_it_is(encoding: str) -> None:
    assert asyncio.run(inflate(b"as it is", encoding, LIMIT)) == b"as it is"


def test_a_bomb_goes_off_at_the_limit() -> None:
    bomb = zlib.compress(bytes(50 * LIMIT), 1)
    assert len(bomb) < LIMIT
    with pytest.raises(HttpError, match=f"more than {LIMIT} bytes") as caught:
        asyncio.run(inflate(bomb, "deflate", LIMIT))
    assert caught.value.status == 413


@pytest.mark.parametrize("body", [b"", b"no gzip", gzip.compress(b"whole")[:-1], gzip.compress(b"whole") + b"more"])
def test_a_body_that_is_not_packed_as_it_says_is_refused(body: bytes) -> None:
    with pytest.raises(ServingError, match="gzip"):
        asyncio.run(inflate(body, "gzip", LIMIT))


def test_a_packing_that_is_not_known_is_refused() -> None:
    with pytest.raises(HttpError, match="send gzip, deflate or neither") as caught:
        asyncio.run(inflate(b"", "br", LIMIT))
    assert caught.value.status == 415


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("", "identity"),
        ("br", "identity"),
        ("gzip", "gzip"),
        ("deflate, gzip", "deflate"),
        ("gzip;q=0, deflate;q=0.5", "deflate"),
        ("gzip;q=0.0", "identity"),
    ],
)
@pytest.mark.parametrize("size", [5_000, 500_000])
def test_an_answer_is_packed_as_its_caller_accepts(accepted: str, encoding: str, size: int) -> None:
    packed, chosen = asyncio.run(deflate(bytes(size), accepted))
    assert chosen == encoding
    assert UNPACK.get(encoding, bytes)(packed) == bytes(size)


def test_a_small_answer_is_not_packed() -> None:
    assert asyncio.run(deflate(b"small", "gzip")) == (b"small", "identity")
