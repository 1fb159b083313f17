"""One timer for all deadlines: each is met on time, whatever order they come in, and nothing is kept alive."""

import asyncio
import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest

from conveyor_server.batch import BACKGROUND_PRIORITY, Outcome
from conveyor_server.errors import ErrorKind, ServingError
from tests.server.scripted import Bench, doubled, in_loop, in_scripted_loop, pass_time

# Seconds in which time moves here, and by which a deadline may be met late.
STEP = LATE = 0.001


async def until_done(caller: "asyncio.Task[Outcome]") -> None:
    while not caller.done():
        await pass_time(STEP)


@in_scripted_loop
async def test_deadlines_in_any_order_are_each_met_on_time() -> None:
    bench = Bench(loop_clock=True)
    running = bench.submit(0)
    await bench.settle()
    now = bench.loop.time()
    delays = [0.08, 0.02, 0.05, 0.021, 0.11, 0.0505]
    callers = [bench.submit(10 * (index + 1), deadline=now + delay) for index, delay in enumerate(delays)]
    ended: dict[int, float] = {}

    async def outcome(index: int) -> BaseException | None:
        error = (await asyncio.gather(callers[index], return_exceptions=True))[0]
        ended[index] = bench.loop.time() - now
        return error if isinstance(error, BaseException) else None

    outcomes = [asyncio.create_task(outcome(index)) for index in range(len(callers))]
    for caller in callers:
        await until_done(caller)
    results = await asyncio.gather(*outcomes)
    for index, (result, delay) in enumerate(zip(results, delays, strict=True)):
        assert isinstance(result, ServingError)
        assert result.kind is ErrorKind.DEADLINE_PASSED
        assert delay <= ended[index] <= delay + STEP + LATE
    bench.instance.finish()
    assert doubled(await running) == [0]


@in_scripted_loop
async def test_a_request_that_says_nothing_waits_no_longer_than_the_default() -> None:
    bench = Bench(loop_clock=True)
    bench.batcher.set_limits(replace(bench.batcher.limits, default_timeout=0.05))
    running = bench.submit(0)
    await bench.settle()
    now = bench.loop.time()
    own, patient, silent = bench.submit(10, deadline=now + 0.01), bench.submit(20, deadline=now + 50), bench.submit(30)
    background = bench.submit(40, priority=BACKGROUND_PRIORITY)
    for caller, seconds in ((own, 0.01), (patient, 0.05), (silent, 0.05)):
        await until_done(caller)
        assert seconds <= bench.loop.time() - now <= seconds + STEP + LATE
        with pytest.raises(ServingError, match="the deadline passed") as error:
            await caller
        assert error.value.kind is ErrorKind.DEADLINE_PASSED
    bench.instance.finish()
    bench.instance.finish()
    assert [doubled(outcome) for outcome in await asyncio.gather(running, background)] == [[0], [40]]


@in_loop
async def test_a_later_request_without_a_deadline_stays() -> None:
    bench = Bench(loop_clock=True)
    running = bench.submit(0)
    await bench.settle()
    late, stays = bench.submit(10, deadline=bench.loop.time() + 0.02), bench.submit(20)
    with pytest.raises(ServingError):
        await late
    bench.instance.finish()
    bench.instance.finish()
    assert [doubled(outcome) for outcome in await asyncio.gather(running, stays)] == [[0], [20]]


@in_loop
async def test_a_closed_batcher_is_freed_at_once_and_its_session_with_it() -> None:
    bench = Bench(loop_clock=True)
    caller = bench.submit(0, deadline=bench.loop.time() + 1000)
    await bench.settle()
    bench.instance.finish(np.zeros((1, 1)))
    await caller
    gc.disable()
    try:
        bench.batcher.close()
        batcher = weakref.ref(bench.batcher)
        del bench
        await asyncio.sleep(0)
        assert batcher() is None
    finally:
        gc.enable()
