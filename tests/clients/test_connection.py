"""Compression, user agent, traces, balancing, hedging and forks."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator

import grpc
import pytest

from conveyor_client import AsyncClient, Client, Connection, ConveyorClientError, Overloaded, traced
from conveyor_client.channel import parse_address
from tests.clients import scripted
from tests.clients.scripted import ScriptedServer

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def other_server() -> Iterator[ScriptedServer]:
    running = scripted.start(scripted.Script())
    yield running
    running.server.stop(None).wait()


def metadata(server: ScriptedServer) -> dict[str, str | bytes]:
    return server.script.metadata[-1]


@pytest.mark.parametrize("compression", ["none", "gzip", "deflate"])
def test_compression(server: ScriptedServer, compression: str) -> None:
    connection = Connection(compression=compression)  # type: ignore[arg-type]  # one of the three
    with Client(server.address, connection=connection) as client:
        assert client.classify(bytes(10_000) + b"\x01", model="m").label == "one"
        assert [answer.label for answer in client.stream([b"\x01" * 4], model="m")] == ["one"]


def test_the_user_agent_names_the_service(server: ScriptedServer) -> None:
    with Client(server.address, connection=Connection(user_agent="shop/1.2")) as client:
        client.classify(b"\x01", model="m")
    assert str(metadata(server)["user-agent"]).startswith("shop/1.2 conveyor-python/")


def test_a_trace_is_passed_on(server: ScriptedServer) -> None:
    with Client(server.address) as client:
        with traced(PARENT, "vendor=1"):
            client.classify(b"\x01", model="m")
        assert (metadata(server)["traceparent"], metadata(server)["tracestate"]) == (PARENT, "vendor=1")
        client.classify(b"\x01", model="m")
        assert "traceparent" not in metadata(server)


def test_each_task_has_its_own_trace(server: ScriptedServer) -> None:
    async def call(client: AsyncClient, parent: str) -> None:
        with traced(parent):
            await asyncio.sleep(0)
            await client.classify(b"\x01", model="m")

    async def calls() -> None:
        async with AsyncClient(server.address) as client:
            await asyncio.gather(call(client, PARENT), call(client, PARENT.replace("4bf", "000")))

    asyncio.run(calls())
    assert len({seen["traceparent"] for seen in server.script.metadata}) == 2


def test_calls_are_spread_over_all_addresses(server: ScriptedServer, other_server: ScriptedServer) -> None:
    with Client(f"{server.address},{other_server.address}") as client:
        for _ in range(40):
            client.classify(b"\x01", model="m")
    assert min(server.script.attempts, other_server.script.attempts) >= 10


def test_or_stay_with_the_first(server: ScriptedServer, other_server: ScriptedServer) -> None:
    connection = Connection(load_balancing="pick_first")
    with Client(f"ipv4:{server.address},{other_server.address}", connection=connection) as client:
        for _ in range(10):
            client.classify(b"\x01", model="m")
    assert sorted((server.script.attempts, other_server.script.attempts)) == [0, 10]


def test_a_dead_address_among_others_is_no_failure(server: ScriptedServer, silent_address: str) -> None:
    with Client(f"{silent_address},{server.address}") as client:
        assert all(client.classify(b"\x01", model="m").label == "one" for _ in range(20))


def test_lists_of_addresses() -> None:
    assert parse_address("127.0.0.1:1,127.0.0.2:2").address == "ipv4:127.0.0.1:1,127.0.0.2:2"
    assert parse_address("grpcs://[::1]:1,[::1]:2").address == "ipv6:[::1]:1,[::1]:2"
    with pytest.raises(ConveyorClientError, match="one name that has them all"):
        parse_address("a:1,b:2")


def test_the_wait_that_the_server_asks_for(server: ScriptedServer) -> None:
    full = (grpc.StatusCode.RESOURCE_EXHAUSTED, "the queue is full.")
    server.script.failures, server.script.pushback_ms = [full], "700"
    began = time.monotonic()
    with Client(server.address) as client:
        assert client.classify(b"\x01", model="m").label == "one"
    assert 0.6 < time.monotonic() - began < 5


def test_a_server_that_wants_no_second_attempt(server: ScriptedServer) -> None:
    full = (grpc.StatusCode.RESOURCE_EXHAUSTED, "the queue is full.")
    server.script.failures, server.script.pushback_ms = [full] * 2, "-1"
    with Client(server.address) as client, pytest.raises(Overloaded):
        client.classify(b"\x01", model="m")
    assert server.script.attempts == 1


def test_a_slow_call_is_hedged(server: ScriptedServer) -> None:
    server.script.delays = [3.0, 0.0]
    began = time.monotonic()
    with Client(server.address, connection=Connection(hedge_after=0.1)) as client:
        assert client.classify(b"\x01", model="m").label == "one"
        assert time.monotonic() - began < 2
    assert server.script.attempts == 2


def test_a_quick_call_is_sent_once(server: ScriptedServer) -> None:
    with Client(server.address, connection=Connection(hedge_after=5.0)) as client:
        assert client.classify(b"\x02", model="m").label == "two"
    assert server.script.attempts == 1


def test_a_slow_call_is_hedged_with_asyncio(server: ScriptedServer) -> None:
    async def calls() -> None:
        server.script.delays = [3.0, 0.0]
        began = time.monotonic()
        async with AsyncClient(server.address, connection=Connection(hedge_after=0.1)) as client:
            assert (await client.classify(b"\x01", model="m")).label == "one"
            assert time.monotonic() - began < 2

    asyncio.run(calls())
    assert server.script.attempts == 2


def test_a_hedge_that_fails_leaves_the_first_call_its_time(server: ScriptedServer) -> None:
    server.script.delays = [0.5, 0.0]
    server.script.failures = [(grpc.StatusCode.INTERNAL, "failed")]
    with Client(server.address, connection=Connection(hedge_after=0.1)) as client:
        assert client.classify(b"\x01", model="m").label == "one"


# A process of its own: the scripted server's threads are nothing that may be forked.
FORK = """
import os, signal, sys
from conveyor_client import Client

address, used_before = sys.argv[1:]
with Client(address) as client:
    if used_before == "True":
        client.classify(b"x", model="m")
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # a child that hangs is ended, and seen
        right = False
        try:
            right = all(client.classify(b"\\x01", model="m", timeout=10).label == "one" for _ in range(20))
        finally:
            os._exit(0 if right else 1)
    mine = [client.classify(b"\\x02", model="m", timeout=10).label for _ in range(20)]  # at the same time
    _, status = os.waitpid(child, 0)
    assert status == 0, f"the child ended with {status}"
    assert mine == ["two"] * 20
    assert client.classify(b"\\x02", model="m").label == "two"
"""


@pytest.mark.parametrize("used_before", [True, False])
def test_a_forked_process_may_go_on_with_the_client(server: ScriptedServer, used_before: bool) -> None:
    command = [sys.executable, "-c", FORK, server.address, str(used_before)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
