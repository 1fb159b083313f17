"""Rows that are run again: a model whose answers depend on the batch is found out."""

import asyncio
import time

import numpy as np
import pytest

from conveyor_server.observation import ModelObserver
from conveyor_server.verifying import Verifier
from tests.server.scripted import in_loop
from tests.server.traffic.scripted import Version, rows, version


def verified(rate: float) -> tuple[Version, Verifier]:
    each = version(1)
    verifier = Verifier(each.model, rate)
    each.bench.batcher.observer = ModelObserver(each.model, None, verifier)
    return each, verifier


async def answer(each: Version, *winners: int, again: float) -> None:
    """A caller's rows, and then each of them alone, with answers `again` times as large."""
    caller = asyncio.create_task(each.model.run(rows(*winners), None, time.monotonic()))
    await each.bench.settle()
    each.bench.instance.finish()
    await caller
    for _ in winners:
        async with asyncio.timeout(10):
            while not each.bench.instance.started:  # noqa: ASYNC110 -- a scripted instance tells nobody
                await asyncio.sleep(0.001)
        ((batch, _),) = each.bench.instance.started
        assert batch.size == 1
        each.bench.instance.finish(np.asarray(batch.merge() * 2 * again))
        await each.bench.settle()


@in_loop
async def test_equal_answers_are_counted() -> None:
    each, verifier = verified(1.0)
    await answer(each, 0, 1, 2, again=1.0)
    assert (verifier.rows, verifier.mismatches, verifier.max_difference) == (3, 0, 0.0)


def test_another_answer_is_counted_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    @in_loop
    async def verify() -> None:
        each, verifier = verified(1.0)
        await answer(each, 0, 1, again=1.5)
        assert (verifier.rows, verifier.mismatches, verifier.max_difference) == (2, 2, 1.0)

    verify()
    assert "run alone gave another answer" in caplog.text


@in_loop
async def test_an_input_without_a_finite_answer_is_no_difference_and_a_neighbours_is() -> None:
    each, verifier = verified(1.0)
    await answer(each, 0, again=np.nan)
    assert (verifier.rows, verifier.mismatches) == (1, 1)
    caller = asyncio.create_task(each.model.run(np.full((1, 3), np.nan, np.float32), None, time.monotonic()))
    await each.bench.settle()
    each.bench.instance.finish()
    await caller
    async with asyncio.timeout(10):
        while verifier.rows < 2:
            await asyncio.sleep(0.001)
            if each.bench.instance.started:
                each.bench.instance.finish()
    assert (verifier.rows, verifier.mismatches, verifier.max_difference) == (2, 1, 0.0)


@in_loop
async def test_the_rate_is_a_share_of_the_rows() -> None:
    each, verifier = verified(0.25)
    for _ in range(400):
        caller = asyncio.create_task(each.model.run(rows(0, 1, 2), None, time.monotonic()))
        await each.bench.settle()
        while each.bench.instance.started:
            each.bench.instance.finish()
            await each.bench.settle()
        await caller
        await asyncio.sleep(0)
    async with asyncio.timeout(10):
        while verifier.rows + verifier.dropped < 200:
            await asyncio.sleep(0.001)
            if each.bench.instance.started:
                each.bench.instance.finish()
    assert verifier.rows + verifier.dropped == pytest.approx(300, abs=70)
