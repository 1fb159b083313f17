"""gRPC's headers and trailers."""

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conveyor_server.calls import CallError
from conveyor_server.engines.envoy.metadata import decode_metadata, name_of_peer, parse_timeout, trailers_of
from conveyor_server.statuses import Code


@pytest.mark.parametrize(
    ("header", "seconds"),
    [(b"2H", 7200), (b"3M", 180), (b"10S", 10), (b"501m", 0.501), (b"10100u", 0.0101), (b"99999999n", 0.099999999)],
)
def test_each_unit_of_a_timeout_is_read(header: bytes, seconds: float) -> None:
    assert parse_timeout(header) == pytest.approx(seconds)


@pytest.mark.parametrize("header", [b"", b"5", b"S", b"-1S", b"1.5S", b"5s", b"123456789S", "٣S".encode()])
def test_a_timeout_that_is_none_is_refused(header: bytes) -> None:
    with pytest.raises(CallError, match="grpc-timeout"):
        parse_timeout(header)


def test_metadata_leaves_out_what_belongs_to_the_transport_and_decodes_binary_values() -> None:
    headers = {b"content-type": b"application/grpc", b"te": b"trailers", b"grpc-timeout": b"1S", b"host": b"h"}
    callers = {b"x-id": b"7", b"trace-bin": b"AP8", b"padded-bin": b"AP8=", b"many-bin": b"AA,AP8", b"bad-bin": b"A"}
    assert decode_metadata({**headers, **callers}) == {
        "x-id": "7",
        "trace-bin": b"\x00\xff",
        "padded-bin": b"\x00\xff",
        "many-bin": b"\x00\xff",
    }


@given(st.text(max_size=50))
def test_any_message_survives_its_way_into_a_trailer(message: str) -> None:
    trailers = dict(trailers_of(Code.INTERNAL, message, [("Retry", "5")]))
    encoded = trailers.get(b"grpc-message", b"")
    assert all(0x20 <= byte <= 0x7E for byte in encoded)
    assert unquote(encoded.decode()) == message
    assert (trailers[b"grpc-status"], trailers[b"retry"]) == (b"13", b"5")


def test_peers_are_named_as_grpc_names_them() -> None:
    assert name_of_peer(("127.0.0.1", 5000)) == "ipv4:127.0.0.1:5000"
    assert name_of_peer(("::1", 5000)) == "ipv6:%5B::1%5D:5000"
    assert name_of_peer(None) == "unknown"
