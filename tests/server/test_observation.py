"""Onlookers whose look fails: nobody else's does, and the next batch is looked at again."""

import asyncio
import time

import numpy as np
import pytest

from conveyor.v1 import model_pb2
from conveyor_server.background_runs import BackgroundRuns
from conveyor_server.batch import Batch, Outcome, Rows
from conveyor_server.drift.monitor import DriftMonitor
from conveyor_server.errors import ServingError
from conveyor_server.observation import ModelObserver
from tests.server.scripted import in_loop
from tests.server.traffic.scripted import Version, rows, version


class Onlooker:
    """A trial that fails at first."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.looks = 0

    def __call__(self, batch: Batch, output: Rows | None, compute_seconds: float) -> None:
        self.looks += 1
        if self.looks <= self.failures:
            raise ValueError("this one cannot look")


async def answered(each: Version, values: np.ndarray) -> Outcome:
    """What one caller is answered."""
    caller = asyncio.create_task(each.model.run(values, None, time.monotonic()))
    await each.bench.settle()
    each.bench.instance.finish()
    return await caller


def monitor(each: Version) -> DriftMonitor:
    """That looks at every batch."""
    contract = model_pb2.ModelContract(
        inputs=[model_pb2.TensorSpec(datatype="FP32", layout=model_pb2.LAYOUT_NHWC)],
        training_statistics=model_pb2.TrainingStatistics(input_mean=[0.5] * 3, input_standard_deviation=[0.25] * 3),
    )
    object.__setattr__(each.model, "contract", contract)
    return DriftMonitor(each.model, 60.0, lambda: 0.0)


def looked_at(each: Version, failures: int) -> tuple[DriftMonitor, Onlooker]:
    """Drift and a trial that look at its batches; the trial fails at first."""
    drift, trial = monitor(each), Onlooker(failures)
    observer = each.bench.batcher.observer = ModelObserver(each.model, drift, None)
    observer.trial = trial
    return drift, trial


def test_one_that_fails_keeps_neither_the_others_nor_itself_from_looking(caplog: pytest.LogCaptureFixture) -> None:
    @in_loop
    async def look() -> None:
        each = version(1)
        drift, trial = looked_at(each, failures=2)
        for _ in range(3):
            await answered(each, rows(0))
        assert (trial.looks, drift.rows_seen) == (3, 3)

    look()
    assert caplog.messages == ["a batch was not looked at model=animals version=1"] * 2


@in_loop
async def test_a_callers_nan_switches_nothing_off() -> None:
    each = version(1)
    drift, trial = looked_at(each, failures=0)
    await answered(each, np.full((1, 3), np.nan, np.float32))
    await answered(each, rows(0))
    assert (trial.looks, drift.rows_seen, drift.not_finite) == (2, 1, 1)
    assert np.isfinite(drift.sums().total).all()


@in_loop
async def test_a_comparison_that_fails_keeps_no_other_from_its_turn() -> None:
    each = version(1)
    runs = BackgroundRuns(each.model, lambda: False)
    compared: list[Outcome | ServingError] = []

    def fail(outcome: Outcome | ServingError) -> None:
        raise ValueError("this one cannot compare")

    assert runs.offer([rows(0)], fail)
    assert runs.offer([rows(1)], compared.append)
    async with asyncio.timeout(10):
        while not compared:
            await asyncio.sleep(0.001)
            if each.bench.instance.started:
                each.bench.instance.finish()
