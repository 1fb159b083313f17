"""The asyncio client: the same promises as the synchronous one."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import TypeVar

import grpc
import pytest

from conveyor_client import AsyncClient, DeadlineExceeded, InvalidImage, ModelNotFound, ServerError, ServerUnavailable
from conveyor_client.requests import IMAGES_PER_CALL, STREAM_WINDOW
from tests.clients.scripted import LABELS, UNREADABLE, ScriptedServer

T = TypeVar("T")


def run(work: Coroutine[None, None, T]) -> T:
    async def limited() -> T:
        return await asyncio.wait_for(work, 60)

    return asyncio.run(limited())


async def images(count: int) -> AsyncIterator[bytes]:
    for number in range(count):
        await asyncio.sleep(0)
        yield bytes([number % 256])


def test_calls(server: ScriptedServer, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\x02")
    many = [bytes([number]) for number in range(IMAGES_PER_CALL + 3)]

    async def calls() -> None:
        async with AsyncClient(server.address) as client:
            assert (await client.classify(b"\x01", model="m")).label == "one"
            assert (await client.classify(tmp_path / "a", model="m")).label == "two"
            answers = await client.classify_many(many, model="m")
            assert [answer.label for answer in answers] == [LABELS[number % 3] for number in range(len(many))]
            assert len(await client.classify_many(images(5), model="m")) == 5
            assert (await client.model("m")).labels == LABELS
            assert len(await client.models()) == 2
            assert await client.ready() is False  # the scripted server has no health service

    run(calls())


def test_failures(server: ScriptedServer, silent_address: str) -> None:
    async def calls() -> None:
        async with AsyncClient(server.address) as client:
            with pytest.raises(ModelNotFound):
                await client.classify(b"x", model="other")
            with pytest.raises(InvalidImage, match="image 1"):
                await client.classify(UNREADABLE, model="m")
            [first, second] = await client.classify_many([UNREADABLE, b"\x01"], model="m")
            assert isinstance(first.error, InvalidImage)
            assert second.label == "one"
            server.script.failures = [(grpc.StatusCode.UNAVAILABLE, "busy")]
            assert (await client.classify(b"\x01", model="m")).label == "one"
            server.script.delay = 1.0
            with pytest.raises(DeadlineExceeded):
                await client.classify(b"x", model="m", timeout=0.2)
        async with AsyncClient(silent_address, max_attempts=1) as client:
            with pytest.raises(ServerUnavailable):
                await client.classify(b"x", model="m")

    run(calls())


def test_a_caller_who_is_cancelled_is_cancelled(server: ScriptedServer) -> None:
    server.script.delay = 1.0

    async def calls() -> None:
        async with AsyncClient(server.address) as client:
            task = asyncio.create_task(client.classify(b"x", model="m"))
            await asyncio.sleep(0.1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    run(calls())


@pytest.mark.parametrize("shuffles", [1, 7])
def test_a_stream_keeps_the_images_order(server: ScriptedServer, shuffles: int) -> None:
    server.script.stream_shuffles = shuffles

    async def calls() -> None:
        async with AsyncClient(server.address) as client:
            answers = [answer async for answer in client.stream(images(300), model="m")]
            assert [answer.index for answer in answers] == list(range(300))
            assert [answer.label for answer in answers] == [LABELS[number % 256 % 3] for number in range(300)]
            found = [answer.index async for answer in client.stream_unordered(images(300), model="m")]
            assert sorted(found) == list(range(300))

    run(calls())


def test_a_stream_waits_for_its_reader(server: ScriptedServer) -> None:
    taken = 0

    async def counted() -> AsyncIterator[bytes]:
        nonlocal taken
        async for image in images(10 * STREAM_WINDOW):
            taken += 1
            yield image

    async def calls() -> None:
        async with AsyncClient(server.address) as client:
            answers = client.stream(counted(), model="m")
            await anext(answers)
            await asyncio.sleep(0.3)
            assert taken <= STREAM_WINDOW + 2
            assert len([answer async for answer in answers]) == 10 * STREAM_WINDOW - 1

    run(calls())


def test_a_stream_with_bad_items_and_bad_ends(server: ScriptedServer) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"\x01"
        raise KeyError("broken")

    async def calls() -> None:
        async with AsyncClient(server.address, max_attempts=1) as client:
            mixed: list[bytes | str] = [b"\x01", UNREADABLE, "/absent.png", b"\x02"]
            answers = [answer async for answer in client.stream(mixed, model="m")]
            assert [answer.error is None for answer in answers] == [True, False, False, True]
            with pytest.raises(KeyError, match="broken"):
                _ = [answer async for answer in client.stream(broken(), model="m")]
            server.script.stream_ends_after = 3
            with pytest.raises(ServerError, match="ended the stream early"):
                _ = [answer async for answer in client.stream(images(10), model="m")]
            server.script.stream_ends_after, server.script.stream_fails_after = None, 3
            # grpc.aio loses the status when it comes while a message is being sent.
            broken_off = pytest.raises((ServerUnavailable, ServerError), match=r"(stopping|early); .* not answered")
            with broken_off:
                _ = [answer async for answer in client.stream(images(10), model="m")]

    run(calls())
