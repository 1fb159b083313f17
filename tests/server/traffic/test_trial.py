"""A trial beside callers: they never wait for it, and nothing that happens to it reaches them."""

import asyncio
import time

import pytest

from conveyor_server import background_runs
from conveyor_server.batch import DEFAULT_PRIORITY, Outcome
from conveyor_server.errors import ServingError
from conveyor_server.observation import ModelObserver
from conveyor_server.traffic.rule import Rule
from conveyor_server.traffic.trial import Trial
from tests.server.scripted import in_loop
from tests.server.traffic.scripted import LABELS, Version, rows, version


def on_trial(stable: Version, trial: Version, *, canary: bool = False) -> Trial:
    rule = Rule(stable=1, canary=2, canary_share=1.0) if canary else Rule(stable=1, shadow=2)
    made = Trial(rule, 1, stable.model, trial.model)
    for each, look in ((stable, made.observe_stable), (trial, made.observe_trial)):
        observer = ModelObserver(each.model, None, None)
        observer.trial = look
        each.bench.batcher.observer = observer
    return made


async def answered(each: Version, *winners: int) -> Outcome:
    """What one caller is answered."""
    caller = asyncio.create_task(each.model.run(rows(*winners), None, time.monotonic()))
    await each.bench.settle()
    each.bench.instance.finish()
    return await caller


async def settle_trial(each: Version, output: "Exception | None" = None) -> None:
    """Lets the copy run."""
    async with asyncio.timeout(10):
        while not each.bench.instance.started:  # noqa: ASYNC110 -- a scripted instance tells nobody
            await asyncio.sleep(0.001)
    each.bench.instance.finish(output)
    await each.bench.settle()


@in_loop
async def test_a_shadow_gets_a_copy_after_the_caller_has_its_answer() -> None:
    stable, shadow = version(1), version(2, LABELS[::-1])
    trial = on_trial(stable, shadow)
    await answered(stable, 0, 1)
    assert shadow.bench.instance.started == []
    await settle_trial(shadow)
    assert (trial.comparison.rows, trial.comparison.agreements) == (2, 1)
    # Whoever names the shadow is no part of the trial, and the copies are nobody's requests.
    await answered(shadow, 0)
    assert trial.comparison.rows == 2
    assert shadow.bench.batcher.statistics.success.count == 1


@in_loop
async def test_a_canarys_answers_are_compared_with_the_stable_versions() -> None:
    stable, canary = version(1), version(2, ("dog", "cat", "hen"))
    trial = on_trial(stable, canary, canary=True)
    await answered(canary, 0, 2)
    await settle_trial(stable)
    comparison = trial.comparison
    assert (comparison.rows, comparison.agreements, comparison.trial_answered) == (2, 1, 2)


@in_loop
async def test_a_shadow_that_hangs_costs_callers_nothing_and_what_is_too_much_is_dropped() -> None:
    stable, shadow = version(1), version(2)
    trial = on_trial(stable, shadow)
    for _ in range(background_runs.MAX_ROWS):
        await answered(stable, 0, 1, 2)
    await asyncio.sleep(0)
    # One copy is under way, never to be answered; as many wait as may; the rest is counted, and gone.
    waiting = 3 * (1 + background_runs.MAX_ROWS // 3)
    assert trial.comparison.dropped == pytest.approx(3 * background_runs.MAX_ROWS - waiting, abs=3)
    assert len(shadow.bench.instance.started) == 1
    assert trial.comparison.rows == 0


@in_loop
async def test_a_shadow_that_fails_is_counted_and_reaches_nobody() -> None:
    stable, shadow = version(1), version(2)
    trial = on_trial(stable, shadow)
    outcome = await answered(stable, 0, 1, 2)
    assert len(outcome.output) == 3
    await settle_trial(shadow, ValueError("this version always fails"))
    assert (trial.comparison.trial_failed, trial.comparison.trial_error_share) == (3, 1.0)
    assert stable.bench.batcher.statistics.success.count == 1


@in_loop
async def test_a_caller_who_comes_meanwhile_goes_first() -> None:
    stable, canary = version(1), version(2)
    on_trial(stable, canary, canary=True)
    running = asyncio.create_task(stable.model.run(rows(0), None, time.monotonic()))
    await stable.bench.settle()
    await answered(canary, 0)
    await asyncio.sleep(2 * background_runs.PATIENCE_SECONDS)
    callers = [asyncio.create_task(stable.model.run(rows(1), None, time.monotonic())) for _ in range(2)]
    await stable.bench.settle()
    stable.bench.instance.finish()
    await running
    (batch, _) = stable.bench.instance.started[0]
    assert [segment.request.priority for segment in batch.segments] == [DEFAULT_PRIORITY] * 2
    stable.bench.instance.finish()
    await asyncio.gather(*callers)
    await settle_trial(stable)


@in_loop
async def test_requests_to_a_canary_that_found_no_room_or_were_late_are_counted_from_its_beginning_on() -> None:
    stable, canary = version(1), version(2, queue=4)

    async def late(each: Version) -> None:
        running = asyncio.create_task(each.model.run(rows(0, 1, 2, 0), None, time.monotonic()))
        await each.bench.settle()
        with pytest.raises(ServingError):
            await each.model.run(rows(0), time.monotonic() + 0.01, time.monotonic())
        each.bench.instance.finish()
        await running

    await late(canary)
    trial = on_trial(stable, canary, canary=True)
    await late(stable)
    await late(canary)
    waiting = []
    for _ in range(2):
        waiting.append(asyncio.create_task(canary.model.run(rows(0, 1, 2, 0), None, time.monotonic())))
        await canary.bench.settle()
    with pytest.raises(ServingError):
        await canary.model.run(rows(0), None, time.monotonic())
    comparison = trial.comparison
    assert (comparison.trial_requests, comparison.trial_lost) == (3, 2)
    assert (comparison.stable_requests, comparison.stable_lost) == (2, 1)
    for each in waiting:
        each.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


@in_loop
async def test_requests_that_name_a_shadow_are_no_part_of_its_trial() -> None:
    stable, shadow = version(1), version(2)
    trial = on_trial(stable, shadow)
    await answered(shadow, 0)
    assert trial.comparison.trial_requests == 0
