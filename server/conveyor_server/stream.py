"""Work on a stream's items, several at a time, each answered as soon as its answer is found."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Final, Generic, TypeVar

Item = TypeVar("Item")
Response = TypeVar("Response")


class _End:
    """Stands in the queue of answers after the last one."""


_END: Final = _End()


class Conveyance(Generic[Item, Response]):
    """One stream's work: reads items, holds at most `limit` unanswered, and keeps their answers until fetched.

    An item counts as unanswered until its answer was taken by the consumer, so a slow reader slows its own stream
    and nothing else.
    """

    def __init__(self, answer: Callable[[Item], Awaitable[Response]], limit: int) -> None:
        self._answer = answer
        self._slots = asyncio.Semaphore(limit)
        self._answers: asyncio.Queue[Response | Exception | _End] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._all_read = False

    async def run(self, items: AsyncIterator[Item], stop: asyncio.Event) -> AsyncGenerator[Response, None]:
        """Yields the answers; ends when the items do, or, once `stop` is set, after those already begun."""
        reader = asyncio.create_task(self._read(items))
        stopper = asyncio.create_task(self._stop_reading(reader, stop))
        try:
            while not isinstance(response := await self._answers.get(), _End):
                if isinstance(response, Exception):
                    raise response
                yield response
                self._slots.release()
        finally:
            for task in (reader, stopper, *self._tasks):
                task.cancel()

    async def _read(self, items: AsyncIterator[Item]) -> None:
        try:
            await self._slots.acquire()
            async for item in items:
                task = asyncio.create_task(self._work(item))
                self._tasks.add(task)
                task.add_done_callback(self._forget)
                await self._slots.acquire()
        except Exception as error:
            self._answers.put_nowait(error)
        finally:
            self._all_read = True
            self._end_if_done()

    async def _work(self, item: Item) -> None:
        try:
            self._answers.put_nowait(await self._answer(item))
        except Exception as error:
            self._answers.put_nowait(error)

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._end_if_done()

    def _end_if_done(self) -> None:
        if self._all_read and not self._tasks:
            self._answers.put_nowait(_END)

    async def _stop_reading(self, reader: asyncio.Task[None], stop: asyncio.Event) -> None:
        await stop.wait()
        reader.cancel()
