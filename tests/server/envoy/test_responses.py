"""A stream's answers on their way to Envoy: each goes out once and in order, whenever Envoy takes the ones before."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from conveyor_server.calls import CallError
from conveyor_server.engines.envoy.framing import frame
from conveyor_server.engines.envoy.response import MAX_WAITING, StreamResponse
from conveyor_server.statuses import Code

LIMIT = 2 * MAX_WAITING
# A loop that is held up for ever does not end by itself.
pytestmark = pytest.mark.timeout(20)


class Envoy:
    """Takes events, and says that it has taken the first `late` of the bodies only when it is told to."""

    def __init__(self, late: int) -> None:
        self.events: list[dict[str, Any]] = []
        self.late: list[asyncio.Future[None]] = []
        self._number = late

    def send(self, event: dict[str, Any]) -> asyncio.Future[None]:
        loop = asyncio.get_running_loop()
        self.events.append(event)
        taken: asyncio.Future[None] = loop.create_future()
        if event.get("more_body") and len(self.late) < self._number:
            self.late.append(taken)
        else:
            loop.call_soon(taken.set_result, None)
        return taken

    @property
    def bodies(self) -> list[bytes]:
        return [event["body"] for event in self.events if event["type"] == "http.response.body"]


def play(act: Callable[[Envoy, StreamResponse], Awaitable[None]], late: int = 1) -> Envoy:
    async def scene() -> Envoy:
        envoy = Envoy(late)
        await act(envoy, StreamResponse(envoy.send, LIMIT))
        # A round of the loop for what is still to come, and would come too late.
        for _ in range(3):
            await asyncio.sleep(0)
        return envoy

    return asyncio.run(scene())


def test_a_stream_ends_in_the_very_moment_that_envoy_has_taken_its_last_answer() -> None:
    async def act(envoy: Envoy, response: StreamResponse) -> None:
        await response.write(b"a")
        envoy.late[0].set_result(None)
        await response.end(())

    envoy = play(act)
    assert envoy.bodies == [frame(b"a"), b""]
    assert envoy.events[-1]["type"] == "http.response.trailers"


def test_a_stream_goes_on_in_the_very_moment_that_envoy_has_room_again() -> None:
    large = b"x" * MAX_WAITING

    async def act(envoy: Envoy, response: StreamResponse) -> None:
        await response.write(b"a")
        envoy.late[0].set_result(None)
        await response.write(large)
        await response.end(())

    assert play(act).bodies == [frame(b"a"), frame(large), b""]


def test_answers_that_wait_go_out_together_and_once() -> None:
    async def act(envoy: Envoy, response: StreamResponse) -> None:
        for message in (b"a", b"b", b"c"):
            await response.write(message)
        asyncio.get_running_loop().call_soon(envoy.late[0].set_result, None)
        await response.end(())

    assert play(act).bodies == [frame(b"a"), frame(b"b") + frame(b"c"), b""]


def test_what_waits_when_a_stream_fails_goes_out_once_and_nothing_after_the_end() -> None:
    async def act(envoy: Envoy, response: StreamResponse) -> None:
        await response.write(b"a")
        await response.write(b"b")
        await response.fail(CallError(Code.INVALID_ARGUMENT, "no"), ())
        envoy.late[0].set_result(None)

    envoy = play(act)
    assert envoy.bodies == [frame(b"a"), frame(b"b")]
    assert envoy.events[-1]["type"] == "http.response.trailers"


def test_a_stream_whose_caller_has_gone_ends_as_cancelled() -> None:
    async def act(envoy: Envoy, response: StreamResponse) -> None:
        await response.write(b"a")
        envoy.late[0].set_exception(OSError("gone"))
        with pytest.raises(CallError) as error:
            await response.end(())
        assert error.value.code == Code.CANCELLED

    play(act)
