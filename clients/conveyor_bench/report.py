"""From a run to its figures: percentiles with confidence intervals, throughput, and the JSON that holds them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from hdrh.histogram import HdrHistogram

from conveyor_bench.load import Measured

# Histograms count microseconds, from 1 us to 10 minutes, to three digits.
_LARGEST_US = 600_000_000
_DIGITS = 3
PERCENTILES = (50.0, 90.0, 95.0, 99.0, 99.9)
# Above this share of a core a process of the client may be what limits the result.
SATURATED = 0.9
_Z95 = 1.96


@dataclass(frozen=True, kw_only=True)
class Percentile:
    """A percentile in milliseconds with its 95 % confidence interval, requests taken as independent."""

    percentile: float
    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """A histogram in a few figures, in milliseconds; max to three digits."""

    count: int
    mean: float
    max: float
    percentiles: tuple[Percentile, ...]

    def as_json(self) -> dict[str, Any]:
        """The figures as JSON values: p50, p90, ..., and their intervals under the same names."""
        values = {f"p{each.percentile:g}": each.value for each in self.percentiles}
        intervals = {f"p{each.percentile:g}": [each.low, each.high] for each in self.percentiles}
        return {"count": self.count, "mean": self.mean, "max": self.max, **values, "intervals_95": intervals}


@dataclass(frozen=True, kw_only=True)
class Report:
    """All figures of one run. Distributions in milliseconds; client_cpu is its busiest process's share of a core."""

    seconds: float
    requests: int
    answered: int
    errors: dict[str, int]
    changed_answers: int
    requests_per_second: float
    images_per_second: float
    latency: Distribution
    send_lag: Distribution
    queue: Distribution
    preprocess: Distribution
    compute: Distribution
    mean_batch_size: float
    client_cpu: float
    client_processes: int

    @property
    def client_saturated(self) -> bool:
        """Whether the client may be the limit rather than the server."""
        return self.client_cpu > SATURATED

    @property
    def p50(self) -> float:
        """The median latency in milliseconds; infinite without answers."""
        return self._latency(50.0)

    @property
    def p99(self) -> float:
        """The 99th percentile of latency in milliseconds; infinite without answers."""
        return self._latency(99.0)

    def _latency(self, percentile: float) -> float:
        found = (each.value for each in self.latency.percentiles if each.percentile == percentile)
        return next(found, math.inf)

    @property
    def ok(self) -> bool:
        """Whether there were answers and all of them stayed the same."""
        return self.answered > 0 and self.changed_answers == 0

    def as_json(self) -> dict[str, Any]:
        """The figures as JSON values; distributions under keys that end in _ms."""
        figures: dict[str, Any] = {}
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, Distribution):
                figures[f"{each.name}_ms"] = value.as_json()
            else:
                figures[each.name] = value
        return figures | {"client_saturated": self.client_saturated, "ok": self.ok}


def make_report(measured: Measured, images_per_request: int) -> Report:
    """The figures of a run."""
    recorder = measured.recorder
    batches = recorder.batch_size.total()
    return Report(
        seconds=measured.seconds,
        requests=recorder.answered + recorder.errors.total(),
        answered=recorder.answered,
        errors=dict(recorder.errors),
        changed_answers=recorder.changed_answers,
        requests_per_second=recorder.answered / measured.seconds,
        images_per_second=recorder.answered * images_per_request / measured.seconds,
        latency=distribution(histogram(recorder.latency)),
        send_lag=distribution(histogram(recorder.send_lag)),
        queue=distribution(histogram(recorder.queue)),
        preprocess=distribution(histogram(recorder.preprocess)),
        compute=distribution(histogram(recorder.compute)),
        mean_batch_size=sum(size * count for size, count in recorder.batch_size.items()) / max(1, batches),
        client_cpu=measured.client_cpu,
        client_processes=measured.processes,
    )


def histogram(counted: Mapping[int, int]) -> HdrHistogram:
    """The histogram of what a recorder counted, in microseconds."""
    filled = HdrHistogram(1, _LARGEST_US, _DIGITS)
    for microseconds, count in counted.items():
        filled.record_value(min(max(1, microseconds), _LARGEST_US), count)
    return filled


def distribution(histogram: HdrHistogram) -> Distribution:
    """The figures of a histogram of microseconds; all 0 for an empty one."""
    count = histogram.get_total_count()
    if count == 0:
        return Distribution(count=0, mean=0.0, max=0.0, percentiles=())
    return Distribution(
        count=count,
        mean=histogram.get_mean_value() / 1000,
        max=histogram.get_max_value() / 1000,
        percentiles=tuple(_percentile(histogram, count, each) for each in PERCENTILES),
    )


def _percentile(histogram: HdrHistogram, count: int, percentile: float) -> Percentile:
    """The interval runs between the order statistics that the binomial distribution allows (normal approximation)."""
    share = percentile / 100
    spread = _Z95 * math.sqrt(share * (1 - share) / count)
    low, value, high = (
        histogram.get_value_at_percentile(100 * min(1.0, max(0.0, each))) / 1000
        for each in (share - spread, share, share + spread)
    )
    return Percentile(percentile=percentile, value=value, low=low, high=high)
