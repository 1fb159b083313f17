"""Streams that break: resumed with what was not answered, and given up in the end by name."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from conveyor_client import AsyncClient, Client, DeadlineExceeded, ServerUnavailable
from tests.clients import scripted
from tests.clients.scripted import LABELS, ScriptedServer

COUNT = 300
EXPECTED = [LABELS[number % 256 % 3] for number in range(COUNT)]


def images(count: int) -> Iterator[bytes]:
    for number in range(count):
        yield bytes([number % 256])


@pytest.mark.parametrize("shuffles", [1, 7])
@pytest.mark.parametrize("breaks", [[0], [1], [100], [10, 20, 30, 40, 50, 60]])
def test_a_broken_stream_is_resumed(server: ScriptedServer, breaks: list[int], shuffles: int) -> None:
    server.script.stream_breaks, server.script.stream_shuffles = list(breaks), shuffles
    with Client(server.address) as client:
        answers = list(client.stream(images(COUNT), model="m"))
    assert [answer.index for answer in answers] == list(range(COUNT))
    assert [answer.label for answer in answers] == EXPECTED


def test_unordered_too(server: ScriptedServer) -> None:
    server.script.stream_breaks = [50, 50]
    with Client(server.address) as client:
        found = {answer.index: answer.label for answer in client.stream_unordered(images(COUNT), model="m")}
    assert found == dict(enumerate(EXPECTED))


@pytest.mark.parametrize("breaks", [[0], [1], [100], [10, 20, 30, 40, 50, 60]])
def test_with_asyncio(server: ScriptedServer, breaks: list[int]) -> None:
    server.script.stream_breaks = list(breaks)

    async def calls() -> None:
        async with AsyncClient(server.address) as client:
            answers = [answer async for answer in client.stream(images(COUNT), model="m")]
            assert [answer.index for answer in answers] == list(range(COUNT))
            assert [answer.label for answer in answers] == EXPECTED

    asyncio.run(asyncio.wait_for(calls(), 60))


def test_a_slow_iterator_loses_nothing(server: ScriptedServer) -> None:
    """The broken call's thread is still waiting for an image when the next call begins."""
    server.script.stream_breaks = [1, 1, 1]

    def slow() -> Iterator[bytes]:
        for image in images(8):
            time.sleep(0.1)
            yield image

    with Client(server.address) as client:
        assert [answer.label for answer in client.stream(slow(), model="m")] == EXPECTED[:8]


def test_a_slow_async_iterator_loses_nothing(server: ScriptedServer) -> None:
    server.script.stream_breaks = [1, 1, 1]

    async def slow() -> AsyncIterator[bytes]:
        for image in images(8):
            await asyncio.sleep(0.1)
            yield image

    async def calls() -> None:
        async with AsyncClient(server.address) as client:
            assert [answer.label async for answer in client.stream(slow(), model="m")] == EXPECTED[:8]

    asyncio.run(asyncio.wait_for(calls(), 60))


def test_an_iterator_that_waits_for_the_answer_gets_it(server: ScriptedServer) -> None:
    """Its next image comes only after the last answer, which has to be asked for again."""
    server.script.stream_breaks = [1, 1]
    answered = threading.Semaphore()

    def waiting() -> Iterator[bytes]:
        for image in images(5):
            assert answered.acquire(timeout=10)
            yield image

    with Client(server.address) as client:
        for answer in client.stream(waiting(), model="m"):
            assert answer.label == EXPECTED[answer.index]
            answered.release()


def test_a_server_that_restarts_in_mid_stream(server: ScriptedServer) -> None:
    successors = []

    def restarting() -> Iterator[bytes]:
        for number, image in enumerate(images(COUNT)):
            if number == 150:
                server.server.stop(None).wait()
                time.sleep(0.3)
                successors.append(scripted.start(scripted.Script(), address=server.address))
            yield image

    with Client(server.address) as client:
        answers = list(client.stream(restarting(), model="m"))
    assert [answer.label for answer in answers] == EXPECTED
    [successor] = successors
    assert successor.script.stream_taken
    successor.server.stop(None).wait()


def test_a_server_that_does_not_come_back(server: ScriptedServer) -> None:
    server.script.stream_breaks = [3, *[0] * 20]
    began = time.monotonic()
    missing = pytest.raises(ServerUnavailable, match=r"the server is stopping; .* not answered: image 4")
    with Client(server.address) as client, missing:
        list(client.stream(images(10), model="m"))
    assert len(server.script.metadata) == 5  # calls: one that answered three images, and four that answered none
    assert time.monotonic() - began < 10


def test_a_stream_has_one_deadline_for_all_its_calls(server: ScriptedServer) -> None:
    server.script.stream_breaks, server.script.pushback_ms = [2] * 100, "200"
    began = time.monotonic()
    late = pytest.raises((DeadlineExceeded, ServerUnavailable), match="not answered")
    with Client(server.address) as client, late:
        list(client.stream(images(COUNT), model="m", timeout=1.0))
    assert time.monotonic() - began < 5


def test_a_server_that_forbids_another_attempt(server: ScriptedServer) -> None:
    server.script.stream_breaks, server.script.pushback_ms = [2, 2], "-1"
    with Client(server.address) as client, pytest.raises(ServerUnavailable, match="image 3"):
        list(client.stream(images(10), model="m"))
    assert len(server.script.metadata) == 1


def test_a_stream_that_breaks_after_the_last_answer_is_whole(server: ScriptedServer) -> None:
    server.script.stream_breaks = [5]
    done = threading.Event()

    def waiting() -> Iterator[bytes]:
        yield from images(5)
        done.wait(10)
        yield b"\x00"

    with Client(server.address) as client:
        answers = client.stream(waiting(), model="m")
        for _ in range(5):
            next(answers)
        done.set()
        assert [answer.index for answer in answers] == [5]
