"""Callers that cancel, or whose deadline passes, at random moments: nobody else notices."""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field

import pytest

from conveyor_server.batch import Outcome
from conveyor_server.deadlines import SHORTEST_INTERVAL
from conveyor_server.errors import ErrorKind, ServingError
from tests.counts import count
from tests.server.scripted import Bench, ScriptedLoop, doubled, pass_time

STEPS = 40
# Seconds: how far time moves at most in one step, and the longest deadline.
LONGEST_STEP, LONGEST_DEADLINE = 1.0, 5.0


@dataclass(eq=False)
class Caller:
    """Rows numbered one after the other, and what becomes of them."""

    rows: range
    came_at: float
    deadline: float | None
    task: "asyncio.Task[Outcome]" = field(repr=False)
    cancelled: bool = False

    def fate(self, now: float) -> str:
        """What it got; fails where it should have got something else."""
        assert self.task.done()
        if self.task.cancelled():
            assert self.cancelled
            return "cancelled"
        error = self.task.exception()
        if error is None:
            outcome = self.task.result()
            assert doubled(outcome) == list(self.rows)
            if self.deadline is None:
                return "answered"
            # Its last rows went to the model before.
            assert self.came_at + outcome.queue_seconds < self.deadline
            return "answered in time"
        assert isinstance(error, ServingError)
        assert error.kind is ErrorKind.DEADLINE_PASSED
        assert self.deadline is not None
        assert self.deadline <= now
        return "late"


class Traffic:
    """Callers that come, leave, wait too long and are answered, in random order."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, ScriptedLoop)
        self._loop = loop
        self._bench = Bench(batch=self._chance.randint(1, 5), queue=1000, loop_clock=True)
        self._callers: list[Caller] = []

    async def run(self) -> Counter[str]:
        """How many met with which fate."""
        for step in range(STEPS):
            self._act(first=100 * step)
            if self._bench.instance.started and self._chance.random() < 0.4:
                self._bench.instance.finish()
            if self._chance.random() < 0.7:
                await self._settle()
        await self._settle()
        while self._bench.instance.started:
            self._bench.instance.finish()
            await self._settle()
        assert self._bench.batcher.waiting_rows == 0
        return Counter(caller.fate(self._loop.now) for caller in self._callers)

    def _act(self, first: int) -> None:
        chance = self._chance
        match chance.choices(("come", "cancel", "wait"), (60, 15, 25))[0]:
            case "come":
                size = chance.randint(1, 6)
                now = self._loop.now
                deadline = now + chance.uniform(0, LONGEST_DEADLINE) if chance.random() < 0.4 else None
                task = self._bench.submit(first, size, deadline)
                self._callers.append(Caller(range(first, first + size), now, deadline, task))
            case "cancel" if self._callers:
                caller = chance.choice(self._callers)
                caller.cancelled = caller.task.cancel() or caller.cancelled
            case "wait":
                self._loop.now += chance.uniform(0, LONGEST_STEP)

    async def _settle(self) -> None:
        """Everything happens that can, the timers' work too; then nobody waits whose deadline has passed."""
        before = self._loop.now
        await pass_time(2 * SHORTEST_INTERVAL)
        running = {row for batch, _ in self._bench.instance.started for row in batch.merge()[:, 0]}
        for caller in self._callers:
            if caller.deadline is not None and caller.deadline <= before:
                assert caller.task.done() or running.intersection(caller.rows)


def fates(seed: int) -> Counter[str]:
    async def run() -> Counter[str]:
        return await Traffic(seed).run()

    with asyncio.Runner(loop_factory=ScriptedLoop) as runner:
        return runner.run(run())


@pytest.mark.parametrize("seed", range(count("cancellation interleavings")))
def test_callers_that_leave_at_random_moments_touch_nobody_else(seed: int) -> None:
    assert fates(seed).total() > 0


def test_every_fate_is_met_with() -> None:
    met = sum((fates(seed) for seed in range(20)), Counter[str]())
    assert min(met[fate] for fate in ("answered", "answered in time", "late", "cancelled")) >= 20, met
