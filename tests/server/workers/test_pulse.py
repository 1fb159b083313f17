"""A worker that answers lives; one that stays silent is noticed, and one late answer is no silence."""

import asyncio
import socket
import time

import pytest

from conveyor_server.workers.link import Body, Kind, Link, Message, open_link
from conveyor_server.workers.pulse import QUESTIONS, until_silent

SECONDS = 1.2


async def pair() -> tuple[Link, Link]:
    ours, theirs = socket.socketpair()
    return await open_link(ours), await open_link(theirs)


async def no_questions(message: Message) -> Body:
    raise AssertionError(f"a worker asked {message}")


async def watched(pauses: list[float]) -> tuple[float | None, int]:
    """A worker that takes so long for its first answers, and none for the rest: after how many seconds it was found
    silent, None if it never was in twice as many questions, and how often it was asked."""
    parent, worker = await pair()
    asked = 0
    enough = asyncio.Event()

    async def answer(message: Message) -> Body:
        nonlocal asked
        assert message.kind is Kind.PULSE
        pause = pauses[asked] if asked < len(pauses) else 0.0
        asked += 1
        if asked == 2 * QUESTIONS:
            enough.set()
        await asyncio.sleep(pause)
        return {}

    readers = [asyncio.create_task(parent.run(no_questions)), asyncio.create_task(worker.run(answer))]
    ends = [asyncio.create_task(until_silent(parent, SECONDS)), asyncio.create_task(enough.wait())]
    started = time.monotonic()
    try:
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        return (time.monotonic() - started if ends[0].done() else None), asked
    finally:
        for end in ends:
            end.cancel()
        for link in (parent, worker):
            link.close()
        await asyncio.gather(*readers, *ends, return_exceptions=True)


def test_a_worker_that_answers_is_left_alone() -> None:
    seconds, _ = asyncio.run(watched([]))
    assert seconds is None


def test_a_worker_that_answers_nothing_is_noticed() -> None:
    seconds, asked = asyncio.run(watched([60.0] * 20))
    assert seconds is not None
    assert seconds >= SECONDS
    assert asked == QUESTIONS


def test_a_few_late_answers_are_no_silence() -> None:
    seconds, _ = asyncio.run(watched([60.0] * (QUESTIONS - 1)))
    assert seconds is None


def test_a_worker_that_has_ended_is_not_silent() -> None:
    async def ended() -> None:
        parent, worker = await pair()
        reader = asyncio.create_task(parent.run(no_questions))
        worker.close()
        await reader
        try:
            async with asyncio.timeout(2 * SECONDS):
                await until_silent(parent, SECONDS)
        finally:
            parent.close()

    with pytest.raises(TimeoutError):
        asyncio.run(ended())
