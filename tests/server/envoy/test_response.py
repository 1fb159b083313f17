"""A stream's answers on their way to Envoy: together where Envoy is busy, in their order, and to their end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from conveyor_server.calls import CallError
from conveyor_server.engines.envoy.framing import FrameReader
from conveyor_server.engines.envoy.response import MAX_WAITING, StreamResponse
from conveyor_server.statuses import Code
from tests.server.scripted import in_loop


class Envoy:
    """Takes events; a piece of a body is taken when the test says so."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.taking: list[asyncio.Future[None]] = []

    def send(self, event: dict[str, Any]) -> asyncio.Future[None]:
        self.events.append(event)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if event.get("more_body"):
            self.taking.append(future)
        else:
            future.set_result(None)
        return future

    @property
    def pieces(self) -> list[list[bytes]]:
        """The messages of each piece of the body."""
        return [messages_in(event["body"]) for event in self.events if event["type"] == "http.response.body"]


def messages_in(body: bytes) -> list[bytes]:
    reader = FrameReader(None, 1 << 20)
    reader.feed(body)
    messages = []
    while (message := reader.take()) is not None:
        messages.append(message)
    return messages


@in_loop
async def test_answers_that_come_while_envoy_is_busy_go_out_together_and_in_order() -> None:
    envoy = Envoy()
    response = StreamResponse(envoy.send, 100)
    for number in range(5):
        await response.write(b"%d" % number)
    assert envoy.pieces == [[b"0"]]
    envoy.taking[0].set_result(None)
    await asyncio.sleep(0)
    assert envoy.pieces == [[b"0"], [b"1", b"2", b"3", b"4"]]
    envoy.taking[1].set_result(None)
    await response.flush()
    await response.end(())
    assert envoy.pieces[2:] == [[]]
    assert envoy.events[-1]["type"] == "http.response.trailers"


@in_loop
async def test_the_end_waits_for_what_is_on_its_way_even_if_it_has_just_arrived() -> None:
    envoy = Envoy()
    response = StreamResponse(envoy.send, 100)
    await response.write(b"one")
    await response.write(b"two")
    # Its callbacks run a turn of the loop later.
    envoy.taking[0].set_result(None)
    flushed = asyncio.create_task(response.flush())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not flushed.done()
    envoy.taking[1].set_result(None)
    await flushed
    assert envoy.pieces == [[b"one"], [b"two"]]


@in_loop
async def test_who_does_not_read_is_not_written_for_without_end() -> None:
    envoy = Envoy()
    message = b"x" * 10_000
    response = StreamResponse(envoy.send, len(message))
    written = 0

    async def write() -> None:
        nonlocal written
        while True:
            await response.write(message)
            written += 1

    writer = asyncio.create_task(write())
    for _ in range(5):
        await asyncio.sleep(0)
    stopped_at = written
    assert MAX_WAITING // len(message) <= stopped_at <= MAX_WAITING // len(message) + 2
    envoy.taking[0].set_result(None)
    for _ in range(5):
        await asyncio.sleep(0)
    assert written > stopped_at
    writer.cancel()


@in_loop
async def test_who_has_gone_is_noticed_at_the_next_answer_and_at_the_end() -> None:
    for leave in ("write", "flush"):
        envoy = Envoy()
        response = StreamResponse(envoy.send, 100)
        await response.write(b"one")
        envoy.taking[0].set_exception(OSError("the caller has gone"))
        await asyncio.sleep(0)
        with pytest.raises(CallError) as error:
            await (response.write(b"two") if leave == "write" else response.flush())
        assert error.value.code is Code.CANCELLED
        assert envoy.pieces == [[b"one"]]


@in_loop
async def test_a_call_that_fails_sends_what_it_has_once_and_then_its_code() -> None:
    envoy = Envoy()
    response = StreamResponse(envoy.send, 100)
    await response.write(b"one")
    await response.write(b"two")
    await response.fail(CallError(Code.INTERNAL, "broken"), ())
    envoy.taking[0].set_result(None)
    await asyncio.sleep(0)
    assert envoy.pieces == [[b"one"], [b"two"]]
    assert (b"grpc-message", b"broken") in envoy.events[-1]["headers"]
