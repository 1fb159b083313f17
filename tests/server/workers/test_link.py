"""What is too long for a line is refused where it would be sent, and both sides talk on."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.workers import link as module
from conveyor_server.workers.link import Body, Kind, Link, Message, open_link
from tests.server.scripted import in_loop

MAX_LINE = 10_000
# What is around a payload in the line of the first question.
AROUND = len('{"kind": "run", "number": 1, "body": {"payload": ""}}')


@pytest.fixture(autouse=True)
def short_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_LINE", MAX_LINE)


async def as_often(message: Message) -> Body:
    """Answers with as many characters as are asked for."""
    return {"payload": "x" * message.body.get("times", 0)}


@asynccontextmanager
async def linked() -> AsyncIterator[Link]:
    """A link to somebody who answers."""
    ours, theirs = [await open_link(end) for end in socket.socketpair()]
    readers = [asyncio.create_task(ours.run(as_often)), asyncio.create_task(theirs.run(as_often))]
    try:
        yield ours
        assert await ours.ask(Kind.PULSE) == {"payload": ""}
        assert not theirs.is_closed
    finally:
        ours.close()
        theirs.close()
        await asyncio.gather(*readers)


@in_loop
async def test_the_longest_line_arrives() -> None:
    async with linked() as link:
        assert await link.ask(Kind.RUN, payload="x" * (MAX_LINE - AROUND)) == {"payload": ""}


@in_loop
async def test_a_question_that_is_too_long_is_not_asked() -> None:
    async with linked() as link:
        with pytest.raises(ServingError, match=f"has {MAX_LINE + 1} bytes, over {MAX_LINE}") as error:
            await link.ask(Kind.RUN, payload="x" * (MAX_LINE - AROUND + 1))
        assert error.value.kind is ErrorKind.INTERNAL


@in_loop
async def test_an_answer_that_is_too_long_becomes_an_error() -> None:
    async with linked() as link:
        with pytest.raises(ServingError, match=f"bytes, over {MAX_LINE}") as error:
            await link.ask(Kind.RUN, times=MAX_LINE)
        assert error.value.kind is ErrorKind.INTERNAL


@in_loop
async def test_what_is_told_and_too_long_is_not_told() -> None:
    async with linked() as link:
        with pytest.raises(ServingError, match=f"bytes, over {MAX_LINE}"):
            link.tell(Kind.START, settings_text="x" * MAX_LINE)
