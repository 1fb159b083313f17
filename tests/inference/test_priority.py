"""Priorities in the queue, and the end of work that unloading waits for."""

import asyncio
from typing import Any

import numpy as np

from conveyor_server.batch import DEFAULT_PRIORITY
from conveyor_server.request_queue import priority_of
from tests.server.scripted import Bench, doubled, in_loop


def submit(bench: Bench, number: int, priority: int) -> "asyncio.Task[Any]":
    async def call() -> Any:
        bench.batcher.admit(1)
        return await bench.batcher.run(np.full((1, 1), number, np.float32), None, priority)

    return asyncio.create_task(call())


@in_loop
async def test_a_higher_priority_goes_first_and_equal_ones_in_their_order() -> None:
    bench = Bench(batch=1)
    order: list[int] = []
    tasks = [submit(bench, 0, DEFAULT_PRIORITY)]
    await bench.settle()
    wishes = [3, 2, 1, 3, 2, 1]
    tasks += [submit(bench, number, wish) for number, wish in enumerate(wishes, 1)]
    for task in tasks:
        task.add_done_callback(lambda done: order.extend(doubled(done.result())))
    for _ in tasks:
        await bench.settle()
        bench.instance.finish()
    await asyncio.gather(*tasks)
    assert order == [0, 3, 6, 2, 5, 1, 4]


@in_loop
async def test_a_batch_takes_higher_priorities_first() -> None:
    bench = Bench(batch=2)
    running = submit(bench, 0, DEFAULT_PRIORITY)
    await bench.settle()
    late = [submit(bench, number, priority) for number, priority in enumerate([3, 2, 1], 1)]
    await bench.settle()
    bench.instance.finish()
    await bench.settle()
    batch, _ = bench.instance.started[0]
    assert batch.merge()[:, 0].tolist() == [3, 2]
    bench.instance.finish()
    await bench.settle()
    bench.instance.finish()
    await asyncio.gather(running, *late)


@in_loop
async def test_who_waits_for_company_is_measured_by_the_oldest_whatever_its_priority() -> None:
    bench = Bench(batch=4, delay=1.0)
    old = submit(bench, 1, 3)
    await bench.settle()
    bench.clock.now = 1.5
    new = submit(bench, 2, 1)
    await bench.settle()
    assert bench.instance.sizes == [2]
    bench.instance.finish()
    await asyncio.gather(old, new)


@in_loop
async def test_idle_is_after_what_is_admitted_queued_or_running() -> None:
    bench = Bench(batch=1)
    await bench.batcher.wait_idle()
    bench.batcher.admit(1)
    tasks = [submit(bench, 1, 1), submit(bench, 2, 1)]
    await bench.settle()
    waiter = asyncio.create_task(bench.batcher.wait_idle())
    for _ in tasks:
        await bench.settle()
        assert not waiter.done()
        bench.instance.finish()
    await bench.settle()
    assert not waiter.done(), "one row is admitted still"
    bench.batcher.withdraw(1)
    await waiter
    await asyncio.gather(*tasks)


@in_loop
async def test_a_cancelled_last_request_leaves_it_idle() -> None:
    bench = Bench(batch=1)
    tasks = [submit(bench, 1, 1), submit(bench, 2, 1)]
    await bench.settle()
    waiter = asyncio.create_task(bench.batcher.wait_idle())
    bench.instance.finish()
    await bench.settle()
    tasks[1].cancel()
    await bench.settle()
    bench.instance.finish()
    await waiter
    await asyncio.gather(*tasks, return_exceptions=True)


def test_a_wish_that_is_no_priority_is_the_default() -> None:
    assert [priority_of(wish) for wish in (0, 1, 2, 3, 4)] == [2, 1, 2, 3, 2]
