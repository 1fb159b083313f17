"""What a batcher counts: why batches closed, how requests spread, what became of them; and what outlives a model."""

import asyncio
import gc

import pytest

from conveyor_server.batch import BACKGROUND_PRIORITY
from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.metrics.histogram import Histogram
from conveyor_server.metrics.ledger import Ledger
from conveyor_server.statistics import Closing, Spread, Statistics
from tests.server.scripted import Bench, in_loop


def closed(bench: Bench) -> dict[str, int]:
    """The reasons that occurred."""
    return {closing.value: count for closing, count in bench.batcher.statistics.closed.items() if count}


def seen(histogram: Histogram) -> tuple[int, float]:
    """Observations, and their sum."""
    return sum(histogram.counts), histogram.total


@in_loop
async def test_each_batch_says_why_it_was_closed() -> None:
    bench = Bench(batch=4)
    callers = [bench.submit(0)]
    await bench.settle()
    assert closed(bench) == {"arrival": 1}
    callers += [bench.submit(index) for index in range(1, 7)]
    await bench.settle()
    bench.instance.finish()
    assert closed(bench) == {"arrival": 1, "full": 1}
    bench.instance.finish()
    assert closed(bench) == {"arrival": 1, "full": 1, "session_free": 1}
    bench.instance.finish()
    await asyncio.gather(*callers)


@in_loop
async def test_a_batch_that_waited_for_company_was_closed_by_the_delay() -> None:
    bench = Bench(batch=4, delay=0.01, loop_clock=True)
    caller = bench.submit(0)
    while not bench.instance.started:  # noqa: ASYNC110 -- the instance has no event to wait for
        await asyncio.sleep(0.001)
    assert closed(bench) == {"delay": 1}
    bench.instance.finish()
    await caller
    full = [bench.submit(index) for index in range(4)]
    await bench.settle()
    assert closed(bench) == {"delay": 1, "full": 1}
    bench.instance.finish()
    await asyncio.gather(*full)


@in_loop
async def test_the_servers_own_work_is_told_apart_and_in_no_statistics() -> None:
    bench = Bench(batch=1)
    caller = bench.submit(0, priority=BACKGROUND_PRIORITY)
    await bench.settle()
    bench.instance.finish()
    await caller
    assert closed(bench) == {"background": 1}
    assert bench.batcher.statistics.success.count == 0


@in_loop
async def test_an_answered_request_is_observed_once_and_a_batch_once() -> None:
    bench = Bench(batch=8)
    first = bench.submit(0)
    await bench.settle()
    bench.clock.now = 0.004
    callers = [bench.submit(index, count=2) for index in range(3)]
    await bench.settle()
    bench.clock.now = 0.010
    bench.instance.finish()
    bench.clock.now = 0.012
    bench.instance.finish()
    await asyncio.gather(first, *callers)
    spread = bench.batcher.statistics.spread
    assert spread is not None
    assert seen(spread.request) == pytest.approx((4, 0.010 + 3 * 0.008))
    assert seen(spread.queue) == pytest.approx((4, 3 * 0.006))
    assert seen(spread.batch_rows) == (2, 7)
    assert seen(spread.compute) == pytest.approx((2, 0.002))
    assert spread.queue.counts[spread.queue.bounds.index(0.01)] == 3


@in_loop
async def test_in_flight_is_who_has_no_answer_yet_however_the_others_ended() -> None:
    bench = Bench(batch=1)
    callers = [bench.submit(index) for index in range(4)]
    await bench.settle()
    assert (bench.batcher.in_flight, bench.batcher.waiting_rows) == (4, 3)
    callers[2].cancel()
    await bench.settle()
    assert (bench.batcher.in_flight, bench.batcher.waiting_rows) == (3, 2)
    bench.instance.finish(RuntimeError("broken"))
    await bench.settle()
    assert bench.batcher.in_flight == 2
    for _ in range(2):
        bench.instance.finish()
    await asyncio.gather(*callers, return_exceptions=True)
    assert (bench.batcher.in_flight, bench.batcher.waiting_rows, bench.batcher.expected_wait) == (0, 0, 0.0)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ServingError(ErrorKind.QUEUE_FULL, "full"), ErrorKind.QUEUE_FULL),
        (asyncio.CancelledError(), ErrorKind.CANCELLED),
        (ValueError("nobody foresaw it"), ErrorKind.INTERNAL),
    ],
)
def test_a_request_that_was_not_answered_is_counted_by_what_became_of_it(error: BaseException, kind: ErrorKind) -> None:
    statistics = Statistics()
    statistics.add_failure(0.5, error)
    statistics.add_failure(0.5, error)
    assert (statistics.failures, statistics.fail.count, statistics.fail.seconds) == ({kind: 2}, 2, 1.0)


def test_two_statistics_together_are_as_if_one_had_counted_everything() -> None:
    parts = [Statistics(), Statistics()]
    for number, part in enumerate(parts, start=1):
        part.add_batch(4, 0.001 * number)
        part.add_failure(0.1, asyncio.CancelledError())
        part.success.add(0.2, number)
        part.rows += number
        part.closed[Closing.FULL] += number
    both = Statistics()
    for part in parts:
        both.include(part)
    assert (both.success.count, both.fail.count, both.rows) == (3, 2, 3)
    assert both.batches[4].count == 2
    assert both.closed[Closing.FULL] == 3
    assert both.failures == {ErrorKind.CANCELLED: 2}
    assert both.spread is not None
    assert seen(both.spread.compute) == pytest.approx((2, 0.003))


def test_without_a_spread_everything_else_is_counted() -> None:
    statistics = Statistics(spread=None)
    statistics.add_batch(2, 0.1)
    statistics.include(Statistics(spread=Spread()))
    assert statistics.batches[2].count == 1


class _Batcher:
    def __init__(self) -> None:
        self.statistics = Statistics()


class _Model:
    name, version_text = "tiny", "1"

    def __init__(self) -> None:
        self.batcher = _Batcher()


class _Entry:
    def __init__(self, model: _Model | None) -> None:
        self.model = model


class _Index:
    """Enough of an index: the one model that is there."""

    def __init__(self) -> None:
        self.model: _Model | None = None

    def entries(self) -> list[_Entry]:
        return [_Entry(self.model)]


def counted(ledger: Ledger) -> int:
    return sum(statistics.success.count for _, statistics in ledger.statistics())


def test_what_a_model_has_counted_outlives_it_and_what_it_finishes_last_is_in_it() -> None:
    index = _Index()
    ledger = Ledger(index)  # type: ignore[arg-type]  # enough of an index
    index.model = first = _Model()
    ledger.note()
    ledger.note()
    first.batcher.statistics.success.add(0.1, 5)
    assert counted(ledger) == 5
    index.model = second = _Model()
    ledger.note()
    # Replaced, it finishes what it had accepted.
    first.batcher.statistics.success.add(0.1, 2)
    second.batcher.statistics.success.add(0.1, 1)
    assert counted(ledger) == 8
    del first
    gc.collect()
    assert counted(ledger) == 8
    assert len(list(ledger.statistics())) == 2
    index.model = None
    del second
    gc.collect()
    assert counted(ledger) == 8
    assert len(list(ledger.statistics())) == 1
