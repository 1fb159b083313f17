"""Connections that speak something else, or stop in the middle: nobody else notices."""

import random
import socket

import pytest

from tests.counts import count
from tests.fuzz.messages import mutated
from tests.fuzz.test_messages import LONG, check_that_it_lives, processes
from tests.server.process import ServerProcess

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
# Frames of HTTP/2 that begin a connection, and a request without end.
SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
HEADERS = b"\x00\x00\x05\x01\x04\x00\x00\x00\x01\x82\x84\x86\x41\x00"
WINDOW = b"\x00\x00\x04\x08\x00\x00\x00\x00\x00\x7f\xff\xff\xff"
POST = (
    b"POST /v1/classify?model=tiny HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
    b"Content-Length: 9\r\n\r\nno image\n"
)


def throw(address: str, data: bytes) -> None:
    """Sends the bytes, listens for a moment, and leaves."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.settimeout(0.01)
        try:
            connection.sendall(data)
            connection.recv(4096)
        except OSError:
            return


@pytest.mark.timeout(LONG)
@pytest.mark.parametrize("kind", ["grpc", "http"])
def test_a_connection_that_makes_no_sense_harms_nobody(server: ServerProcess, kind: str) -> None:
    before, choice = processes(server), random.Random(2)
    address = server.address if kind == "grpc" else server.http_address
    sound = PREFACE + SETTINGS + WINDOW + HEADERS if kind == "grpc" else POST
    for _ in range(count("connections that make no sense")):
        throw(address, mutated(choice, sound))
    check_that_it_lives(server, before)
