"""An instance that a test drives by hand, and a clock that it sets: the batcher without threads or sleeping."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import numpy as np

from conveyor_server.batch import DEFAULT_PRIORITY, Batch, Outcome, Rows
from conveyor_server.batcher import QUIET_TURNS, Batcher, BatchLimits
from conveyor_server.instance import BatchResult, Done


class ScriptedInstance:
    """Holds the batch that it was given until the test finishes it."""

    def __init__(self) -> None:
        self.started: list[tuple[Batch, Done]] = []
        self.sizes: list[int] = []
        self.closed = False

    def start(self, batch: Batch, done: Done) -> None:
        self.started.append((batch, done))
        self.sizes.append(batch.size)
        assert len(self.started) == 1, "one batch at a time"

    def close(self) -> None:
        self.closed = True

    def finish(self, output: "Rows | Exception | None" = None) -> None:
        """Answers the running batch: with its rows doubled, another output, or an error."""
        batch, done = self.started.pop()
        result = batch.merge() * 2 if output is None else output
        done(batch, BatchResult(output=result, compute_seconds=0.001))


class Clock:
    """Seconds that only the test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class ScriptedLoop(asyncio.SelectorEventLoop):
    """A loop whose time, and with it every timer, only the test moves."""

    def __init__(self) -> None:
        self.now = 0.0
        super().__init__()

    def time(self) -> float:
        return self.now


class Bench:
    """A batcher with one scripted instance."""

    def __init__(self, *, batch: int = 4, queue: int = 16, delay: float = 0.0, loop_clock: bool = False) -> None:
        self.loop = asyncio.get_running_loop()
        self.instance = ScriptedInstance()
        self.clock = Clock()
        limits = BatchLimits(max_batch_size=batch, max_queue_size=queue, max_queue_delay=delay)
        clock = self.loop.time if loop_clock else self.clock
        self.batcher = Batcher(limits, [self.instance], self.loop, clock)

    def submit(
        self, first: int, count: int = 1, deadline: float | None = None, priority: int = DEFAULT_PRIORITY
    ) -> "asyncio.Task[Outcome]":
        """A caller with rows numbered from `first` on."""

        async def call() -> Outcome:
            self.batcher.admit(count)
            rows = np.arange(first, first + count, dtype=np.float32).reshape(count, 1)
            return await self.batcher.run(rows, deadline, priority)

        return asyncio.create_task(call())

    async def settle(self) -> None:
        """Lets everything happen that can."""
        await settled()


def doubled(outcome: Outcome) -> list[int]:
    """The numbers of the rows that an outcome answers, from the scripted instance's doubling."""
    return [int(value / 2) for value in outcome.output[:, 0]]


async def settled() -> None:
    """Lets everything happen that can, in no time."""
    for _ in range(2 * QUIET_TURNS):
        await asyncio.sleep(0)


async def pass_time(seconds: float) -> None:
    """Moves a ScriptedLoop's time; before and after, everything happens that can."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, ScriptedLoop)
    await settled()
    loop.now += seconds
    await settled()


def in_loop(test: Callable[[], Awaitable[Any]]) -> Callable[[], None]:
    """Runs an async test in a loop of its own."""

    def run() -> None:
        async def main() -> None:
            async with asyncio.timeout(30):
                await test()

        asyncio.run(main())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


def in_scripted_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Runs an async test in a ScriptedLoop of its own."""

    def run() -> None:
        with asyncio.Runner(loop_factory=ScriptedLoop) as runner:
            runner.run(test())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run
