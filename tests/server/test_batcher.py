"""The batcher's behaviour, with a clock and an instance that the tests drive."""

import asyncio

import numpy as np
import pytest

from conveyor_server.batch import BACKGROUND_PRIORITY, Batch, Rows
from conveyor_server.errors import ErrorKind, ServingError
from tests.server.scripted import Bench, doubled, in_loop, in_scripted_loop, pass_time


@in_loop
async def test_a_lone_request_does_not_wait() -> None:
    bench = Bench()
    caller = bench.submit(7)
    await bench.settle()
    assert bench.instance.sizes == [1]
    bench.instance.finish()
    outcome = await caller
    assert doubled(outcome) == [7]
    assert (outcome.batch_size, outcome.queue_seconds, outcome.compute_seconds) == (1, 0.0, 0.001)


@in_loop
async def test_what_arrives_while_a_batch_runs_shares_the_next_one() -> None:
    bench = Bench(batch=4)
    first = bench.submit(0)
    await bench.settle()
    others = [bench.submit(10 * index) for index in range(1, 6)]
    await bench.settle()
    assert bench.instance.sizes == [1]
    bench.instance.finish()
    assert bench.instance.sizes == [1, 4]
    bench.instance.finish()
    bench.instance.finish()
    assert bench.instance.sizes == [1, 4, 1]
    assert [doubled(outcome) for outcome in await asyncio.gather(first, *others)] == [[0], [10], [20], [30], [40], [50]]


@in_loop
async def test_a_request_larger_than_a_batch_runs_in_several_and_comes_back_whole() -> None:
    bench = Bench(batch=4)
    caller = bench.submit(0, count=10)
    await bench.settle()
    for _ in range(3):
        bench.instance.finish()
    outcome = await caller
    assert bench.instance.sizes == [4, 4, 2]
    assert doubled(outcome) == list(range(10))
    assert outcome.batch_size == 4


@in_loop
async def test_the_queue_is_bounded_in_rows_exactly() -> None:
    bench = Bench(batch=2, queue=6)
    running = bench.submit(0, count=2)
    await bench.settle()
    waiting = [bench.submit(10, count=4), bench.submit(20, count=2)]
    await bench.settle()
    assert bench.batcher.waiting_rows == 6
    with pytest.raises(ServingError, match="6 rows wait") as refused:
        bench.batcher.admit(1)
    assert refused.value.kind is ErrorKind.QUEUE_FULL
    assert refused.value.retry_after_ms is not None
    bench.instance.finish()
    assert bench.batcher.waiting_rows == 4
    bench.batcher.admit(2)
    with pytest.raises(ServingError):
        bench.batcher.admit(1)
    bench.batcher.withdraw(2)
    for _ in range(3):
        bench.instance.finish()
    await asyncio.gather(running, *waiting)
    assert bench.batcher.waiting_rows == 0


@in_loop
async def test_a_request_that_could_never_wait_is_an_invalid_argument() -> None:
    bench = Bench(queue=6)
    with pytest.raises(ServingError, match="over the limit of 6") as refused:
        bench.batcher.admit(7)
    assert refused.value.kind is ErrorKind.INVALID_ARGUMENT


@in_loop
async def test_a_caller_cancelled_in_the_queue_gives_its_room_back_and_never_runs() -> None:
    bench = Bench(batch=4)
    first = bench.submit(0)
    await bench.settle()
    gone, stays = bench.submit(10, count=3), bench.submit(20)
    await bench.settle()
    gone.cancel()
    await bench.settle()
    assert bench.batcher.waiting_rows == 1
    bench.instance.finish()
    bench.instance.finish()
    assert bench.instance.sizes == [1, 1]
    assert [doubled(outcome) for outcome in await asyncio.gather(first, stays)] == [[0], [20]]
    assert gone.cancelled()


@in_loop
async def test_a_caller_cancelled_in_mid_batch_leaves_the_others_answered() -> None:
    bench = Bench(batch=4)
    callers = [bench.submit(10 * index) for index in range(4)]
    await bench.settle()
    callers[1].cancel()
    await bench.settle()
    bench.instance.finish()
    results = await asyncio.gather(*callers, return_exceptions=True)
    assert isinstance(results[1], asyncio.CancelledError)
    assert [doubled(results[index]) for index in (0, 2, 3)] == [[0], [20], [30]]  # type: ignore[arg-type]  # outcomes


@in_scripted_loop
async def test_a_deadline_fires_on_time_while_the_instance_is_busy() -> None:
    bench = Bench(loop_clock=True)
    first = bench.submit(0)
    await bench.settle()
    late = bench.submit(10, deadline=bench.loop.time() + 0.05)
    await bench.settle()
    await pass_time(0.049)
    assert not late.done()
    await pass_time(0.002)
    assert late.done()
    with pytest.raises(ServingError, match="in the queue") as refused:
        await late
    assert refused.value.kind is ErrorKind.DEADLINE_PASSED
    assert bench.batcher.waiting_rows == 0
    bench.instance.finish()
    assert doubled(await first) == [0]
    assert bench.instance.sizes == [1]


@in_loop
async def test_a_deadline_that_passed_is_seen_when_the_batch_forms() -> None:
    bench = Bench(batch=4)
    first = bench.submit(0)
    await bench.settle()
    late, fine = bench.submit(10, deadline=1e6), bench.submit(20, deadline=3e6)
    await bench.settle()
    bench.clock.now = 2e6  # the timer has not had its turn yet
    bench.instance.finish()
    assert bench.instance.sizes == [1, 1]
    bench.instance.finish()
    with pytest.raises(ServingError):
        await late
    assert [doubled(outcome) for outcome in await asyncio.gather(first, fine)] == [[0], [20]]


@in_scripted_loop
async def test_a_deadline_does_not_end_a_request_that_already_runs() -> None:
    bench = Bench(loop_clock=True)
    caller = bench.submit(0, deadline=bench.loop.time() + 0.02)
    await bench.settle()
    await pass_time(0.05)
    bench.instance.finish()
    assert doubled(await caller) == [0]


@pytest.mark.parametrize("fault", [RuntimeError("out of memory at 0xdead"), np.zeros((1, 1))])
def test_a_failing_run_fails_only_its_batch_and_tells_no_detail(fault: Exception | np.ndarray) -> None:
    @in_loop
    async def scenario() -> None:
        bench = Bench(batch=2)
        unlucky = [bench.submit(0), bench.submit(10)]
        await bench.settle()
        lucky = bench.submit(20)
        await bench.settle()
        bench.instance.finish(fault)
        bench.instance.finish()
        for caller in unlucky:
            with pytest.raises(ServingError, match="the model failed") as failed:
                await caller
            assert failed.value.kind is ErrorKind.MODEL_FAILED
            assert "0xdead" not in str(failed.value)
        assert doubled(await lucky) == [20]

    scenario()


@in_loop
async def test_when_one_part_of_a_request_fails_its_waiting_rows_leave_the_queue() -> None:
    bench = Bench(batch=2)
    caller = bench.submit(0, count=6)
    await bench.settle()
    bench.instance.finish()
    bench.instance.finish(RuntimeError())
    with pytest.raises(ServingError):
        await caller
    assert bench.batcher.waiting_rows == 0
    bench.instance.finish()  # the part that was already running
    later = bench.submit(30)
    await bench.settle()
    bench.instance.finish()
    assert doubled(await later) == [30]


@in_loop
async def test_with_a_delay_a_batch_waits_for_company_until_it_is_full() -> None:
    bench = Bench(batch=2, delay=1000.0)
    first = bench.submit(0)
    await bench.settle()
    assert bench.instance.sizes == []
    second = bench.submit(10)
    await bench.settle()
    assert bench.instance.sizes == [2]
    bench.instance.finish()
    await asyncio.gather(first, second)


@in_scripted_loop
async def test_with_a_delay_a_lone_request_runs_when_the_delay_is_over() -> None:
    bench = Bench(batch=2, delay=0.05, loop_clock=True)
    caller = bench.submit(0)
    await bench.settle()
    await pass_time(0.049)
    assert bench.instance.sizes == []
    await pass_time(0.002)
    assert bench.instance.sizes == [1]
    bench.instance.finish()
    assert doubled(await caller) == [0]


@in_loop
async def test_closing_refuses_who_waits_and_lets_the_running_batch_finish() -> None:
    bench = Bench()
    running = bench.submit(0)
    await bench.settle()
    waiting = bench.submit(10)
    await bench.settle()
    bench.batcher.close()
    with pytest.raises(ServingError) as refused:
        await waiting
    assert refused.value.kind is ErrorKind.STOPPING
    bench.instance.finish()
    assert doubled(await running) == [0]
    assert bench.instance.closed


@in_loop
async def test_the_servers_own_work_shares_no_batch_and_waits_behind_callers() -> None:
    bench = Bench(batch=4)
    seen: list[int] = []

    class Seen:
        def observe(self, batch: Batch, output: "Rows | None", compute_seconds: float) -> None:
            seen.append(-1 if output is None else batch.size)

    bench.batcher.observer = Seen()
    first = bench.submit(0)
    await bench.settle()
    own = [bench.submit(index, priority=BACKGROUND_PRIORITY) for index in (100, 200)]
    caller = bench.submit(1)
    failing = bench.submit(2, count=4)
    await bench.settle()
    for output in (None, None, ValueError("this run fails"), None, None):
        bench.instance.finish(output)
    outcomes = await asyncio.gather(first, caller, *own)
    assert [doubled(outcome) for outcome in outcomes] == [[0], [1], [100], [200]]
    with pytest.raises(ServingError):
        await failing
    assert seen == [1, 4, -1]
    assert bench.batcher.statistics.success.count == 1 + 1
