"""The highest rate at which a server still meets a 99th percentile."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from conveyor_bench.load import Measured
from conveyor_bench.report import Report, make_report
from conveyor_bench.workload import ClosedLoop, Loop, OpenLoop

STEPS = 7
_CAPACITY_CONCURRENCY = 64
# The rates tried reach a little beyond what a closed loop got through.
_HEADROOM = 1.1
_FINE_ENOUGH = 0.02  # of the capacity

RunLoad = Callable[[Loop, float], Measured]


@dataclass(frozen=True, kw_only=True)
class Step:
    """One rate that was tried, in requests a second."""

    rate: float
    report: Report
    meets: bool


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """All that was tried, in the order of the rates; `slo` in seconds, `capacity` in requests a second."""

    slo: float
    capacity: float
    steps: tuple[Step, ...]

    @property
    def best(self) -> Step | None:
        """The step of the highest rate that met the SLO, if any did."""
        return max((each for each in self.steps if each.meets), key=lambda each: each.rate, default=None)

    def replicas(self, target_rate: float) -> int | None:
        """Servers like this one that carry the rate, all sharing it evenly; None when no rate met the SLO."""
        return None if self.best is None else math.ceil(target_rate / self.best.rate)

    def as_json(self) -> dict[str, Any]:
        """The figures as JSON values."""
        steps = [{"rate": each.rate, "meets": each.meets, "report": each.report.as_json()} for each in self.steps]
        best = None if self.best is None else self.best.rate
        return {"slo_p99_ms": 1e3 * self.slo, "capacity": self.capacity, "highest_rate": best, "steps": steps}


def find_highest_rate(run: RunLoad, arrivals: OpenLoop, duration: float, slo: float, images: int) -> Sweep:
    """Halves the interval between rates that meet the SLO and rates that do not; each step lasts `duration` seconds,
    twice that where the first try fails.

    `arrivals` says how requests come; its rate is not used. `images` in each request.
    """
    capacity = make_report(run(ClosedLoop(concurrency=_CAPACITY_CONCURRENCY), duration), images).requests_per_second
    steps: list[Step] = []
    low, high = 0.0, _HEADROOM * max(capacity, 1.0)
    while len(steps) < STEPS and high - low > _FINE_ENOUGH * capacity:
        rate = (low + high) / 2
        step = _try(run, replace(arrivals, rate=rate), duration, slo, images)
        if not step.meets:  # once more: one bad moment of the machine must not rule out half of the rates
            step = _try(run, replace(arrivals, rate=rate, seed=arrivals.seed + 1), duration, slo, images)
        steps.append(step)
        low, high = (rate, high) if step.meets else (low, rate)
    return Sweep(slo=slo, capacity=capacity, steps=tuple(sorted(steps, key=lambda each: each.rate)))


def _try(run: RunLoad, loop: OpenLoop, duration: float, slo: float, images: int) -> Step:
    report = make_report(run(loop, duration), images)
    meets = report.ok and not report.errors and report.p99 <= 1e3 * slo
    return Step(rate=loop.rate, report=report, meets=meets)
