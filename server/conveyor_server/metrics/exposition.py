"""Metrics as a page that Prometheus reads, in its text format or as OpenMetrics, written by its own library."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from conveyor_server.metrics.family import Distribution, Family, Kind

TOTAL = "_total"


def page(families: Sequence[Family], accept: str) -> tuple[bytes, str]:
    """The page and its content type, in the format that the Accept header prefers."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Once(families))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


class _Once(Collector):
    def __init__(self, families: Sequence[Family]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return map(_metric, self._families)

    def describe(self) -> Iterable[Metric]:
        """Nothing: else registering would collect."""
        return ()


def _metric(family: Family) -> Metric:
    name = family.name
    # The library puts the ending on again.
    metric = Metric(name.removesuffix(TOTAL) if family.kind is Kind.COUNTER else name, family.help, family.kind.value)
    for sample in family.samples:
        labels = dict(sample.labels)
        if isinstance(sample.value, Distribution):
            for suffix, more, value in _parts(sample.value):
                metric.add_sample(name + suffix, {**labels, **more}, value)
        else:
            metric.add_sample(name, labels, float(sample.value))
    return metric


def _parts(value: Distribution) -> Iterator[tuple[str, dict[str, str], float]]:
    """A histogram's samples: ending, label of the bound, value. Each bucket holds all those before it."""
    bounds = [*(str(float(bound)) for bound in value.bounds), "+Inf"]
    for bound, count in zip(bounds, accumulate(value.counts), strict=True):
        yield "_bucket", {"le": bound}, count
    yield "_count", {}, value.count
    yield "_sum", {}, value.total
