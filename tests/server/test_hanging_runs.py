"""Runs that do not come back, in a batcher driven by hand: nobody is stranded, and late results are dropped."""

import asyncio
from typing import Any

import numpy as np
import pytest

from conveyor_server.batch import Outcome
from conveyor_server.errors import ErrorKind, ServingError
from tests.server.scripted import Bench, doubled, in_loop

PATIENCE = 4


def look(bench: Bench, times: int = 1) -> int:
    """The runs that the looks gave up."""
    return sum(bench.batcher.give_up_hanging(PATIENCE, 60.0) for _ in range(times))


async def assert_hung(*callers: "asyncio.Task[Outcome]") -> None:
    for caller in callers:
        with pytest.raises(ServingError, match=r"took longer than 60 seconds \(--max-run-seconds\)") as refused:
            await caller
        assert refused.value.kind is ErrorKind.NOT_READY


@in_loop
async def test_who_is_in_a_run_that_hangs_or_waits_behind_it_is_refused() -> None:
    bench = Bench(batch=4)
    in_batch = [bench.submit(0, 2), bench.submit(10)]
    await bench.settle()
    waiting = [bench.submit(20, 3), bench.submit(30)]
    await bench.settle()
    assert look(bench, PATIENCE) == 0
    assert not any(caller.done() for caller in (*in_batch, *waiting)), "a long run is none that hangs"
    assert look(bench) == 1
    await assert_hung(*in_batch, *waiting, bench.submit(40))
    assert bench.batcher.hangs
    assert (bench.batcher.waiting_rows, bench.batcher.in_flight, bench.batcher.statistics.hanging) == (0, 0, 1)


@in_loop
async def test_a_request_of_several_batches_is_refused_as_a_whole() -> None:
    bench = Bench(batch=4)
    caller = bench.submit(0, 10)
    await bench.settle()
    look(bench, PATIENCE + 1)
    await assert_hung(caller)
    bench.instance.finish()
    await bench.settle()
    assert bench.instance.sizes == [4], "its other rows do not run"


@in_loop
async def test_a_run_that_is_back_after_all_is_dropped_and_its_instance_serves_again() -> None:
    bench = Bench(batch=4)
    hung = bench.submit(0)
    await bench.settle()
    look(bench, PATIENCE + 1)
    await assert_hung(hung)
    bench.instance.finish()
    assert not bench.batcher.hangs
    assert bench.batcher.statistics.batches == {}
    caller = bench.submit(7)
    await bench.settle()
    assert look(bench, PATIENCE) == 0, "a new run has all its time"
    bench.instance.finish()
    assert doubled(await caller) == [7]


@in_loop
async def test_one_instance_hangs_and_the_others_serve() -> None:
    bench = Bench(batch=1, instances=2)
    hung = bench.submit(0)
    await bench.settle()
    look(bench, PATIENCE)
    callers = [bench.submit(number) for number in (1, 2)]
    await bench.settle()
    assert look(bench) == 1
    assert (bench.batcher.hanging_instances, bench.batcher.hangs) == (1, False)
    await assert_hung(hung)
    (serving,) = [each for each in bench.instances if each.started[0][0].merge()[0, 0] == 1]
    for _ in callers:
        serving.finish()
    assert [doubled(outcome) for outcome in await asyncio.gather(*callers)] == [[1], [2]]


@in_loop
async def test_a_model_whose_run_hangs_is_idle_and_closes_for_good() -> None:
    bench = Bench()
    hung = bench.submit(0)
    await bench.settle()
    idle = asyncio.create_task(bench.batcher.wait_idle())
    look(bench, PATIENCE + 1)
    await idle
    await assert_hung(hung)
    bench.batcher.close()
    bench.instance.finish()
    with pytest.raises(ServingError, match="unloaded"):
        await bench.submit(1)


@in_loop
async def test_a_closed_model_is_idle_once_the_last_of_what_it_admitted_was_refused() -> None:
    bench = Bench()
    bench.batcher.admit(1)
    bench.batcher.close()
    idle = asyncio.create_task(bench.batcher.wait_idle())
    await bench.settle()
    assert not idle.done()
    with pytest.raises(ServingError, match="unloaded"):
        await bench.batcher.run(np.zeros((1, 1), np.float32), None)
    await idle


@in_loop
async def test_whoever_looks_at_batches_is_told_of_one_that_hangs() -> None:
    seen: list[Any] = []

    class Observer:
        def observe(self, batch: Any, output: Any, compute_seconds: float) -> None:
            seen.append((batch.size, output))

    bench = Bench()
    bench.batcher.observer = Observer()
    hung = bench.submit(0, 3)
    await bench.settle()
    look(bench, PATIENCE + 1)
    await assert_hung(hung)
    bench.instance.finish()
    assert seen == [(3, None)]
