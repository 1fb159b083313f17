"""Hedging: a call that is not answered in time is sent a second time, and the first answer counts.

gRPC's own hedgingPolicy is not used because grpcio's core does not carry it out.
"""

import asyncio
import queue
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Generic, TypeVar

import grpc

if TYPE_CHECKING:
    from typing import Any

Answer = TypeVar("Answer")


class HedgedCall(Generic[Answer]):
    """A call under way, with at most one more beside it. `start` begins one; `after` is in seconds."""

    def __init__(self, start: "Callable[[], grpc.Future[Answer]]", after: float | None) -> None:
        self._start = start
        self._after = after
        self._began = time.monotonic()
        self._calls = [start()]

    def result(self) -> Answer:
        """The first answer; where both calls fail, the failure of the later one."""
        if self._after is None:
            return self._calls[0].result()
        finished: queue.SimpleQueue[grpc.Future[Answer]] = queue.SimpleQueue()
        self._calls[0].add_done_callback(finished.put)
        try:
            winner = finished.get(timeout=max(0.0, self._began + self._after - time.monotonic()))
        except queue.Empty:
            self._calls.append(self._start())
            self._calls[1].add_done_callback(finished.put)
            winner = finished.get()
            if winner.exception() is not None:
                winner = finished.get()
        for call in self._calls:
            if call is not winner:
                call.cancel()
        return winner.result()

    def cancel(self) -> None:
        """Gives up what is under way."""
        for call in self._calls:
            call.cancel()


class AsyncHedgedCall(Generic[Answer]):
    """As HedgedCall, to await."""

    def __init__(self, start: "Callable[[], grpc.aio.UnaryUnaryCall[Any, Answer]]", after: float | None) -> None:
        self._start = start
        self._after = after
        self._began = time.monotonic()
        self._calls = [start()]

    async def result(self) -> Answer:
        """The first answer; where both calls fail, the failure of the later one."""
        if self._after is None:
            return await self._calls[0]
        tasks = [asyncio.ensure_future(_answer(self._calls[0]))]
        try:
            await asyncio.wait(tasks, timeout=max(0.0, self._began + self._after - time.monotonic()))
            if not tasks[0].done():
                self._calls.append(self._start())
                tasks.append(asyncio.ensure_future(_answer(self._calls[1])))
            return await _first_good(tasks)
        finally:
            for task in tasks:
                task.cancel()
            self.cancel()

    def cancel(self) -> None:
        """Gives up what is under way."""
        for call in self._calls:
            call.cancel()


async def _answer(call: Awaitable[Answer]) -> Answer:
    return await call


async def _first_good(tasks: "list[asyncio.Task[Answer]]") -> Answer:
    waiting = set(tasks)
    while True:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            if task.exception() is None or not waiting:
                return task.result()
