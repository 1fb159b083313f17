"""The metrics of models: what their batchers have counted, and how they stand now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from conveyor_server.batcher import Batcher
from conveyor_server.entry import State
from conveyor_server.errors import ErrorKind
from conveyor_server.index import Index
from conveyor_server.metrics.family import Family, Kind, Merge, Sample, counter, gauge
from conveyor_server.metrics.histogram import Histogram
from conveyor_server.metrics.ledger import Ledger, Version
from conveyor_server.model import Model
from conveyor_server.statistics import Spread, Statistics

SUCCESS: Final = "success"
# Shown from the start on, so that a rate can be had of the first one.
USUAL_FAILURES: Final = (
    *(ErrorKind.INVALID_ARGUMENT, ErrorKind.QUEUE_FULL, ErrorKind.DEADLINE_PASSED, ErrorKind.CANCELLED),
    *(ErrorKind.NOT_READY, ErrorKind.STOPPING, ErrorKind.MODEL_FAILED, ErrorKind.INTERNAL),
)

HISTOGRAMS: Final[dict[str, tuple[str, Callable[[Spread], Histogram]]]] = {
    "conveyor_request_seconds": ("Time of an answered request, from its arrival to its answer.", lambda s: s.request),
    "conveyor_queue_seconds": ("Time of an answered request in the queue.", lambda s: s.queue),
    "conveyor_preprocess_seconds": (
        "Time of an answered request before the queue: decoding, resizing, checking.",
        lambda s: s.preprocess,
    ),
    "conveyor_compute_seconds": ("Time of a run of the model, whatever requests it answers.", lambda s: s.compute),
    "conveyor_batch_rows": ("Rows in a run of the model, padding left out.", lambda s: s.batch_rows),
}
GAUGES: Final[dict[str, tuple[str, Merge, Callable[[Batcher], float]]]] = {
    "conveyor_queue_rows": ("Rows that wait.", Merge.SUM, lambda b: b.waiting_rows),
    "conveyor_queue_limit_rows": (
        "Rows that may wait; more are refused.",
        Merge.SUM,
        lambda b: b.limits.max_queue_size,
    ),
    "conveyor_in_flight_requests": ("Requests that wait or run.", Merge.SUM, lambda b: b.in_flight),
    "conveyor_queue_wait_seconds": (
        "Estimated time until the rows that wait now have run; of several workers the longest.",
        Merge.MAX,
        lambda b: b.expected_wait,
    ),
}


class ModelsSource:
    """A metrics source over the index."""

    def __init__(self, index: Index, ledger: Ledger) -> None:
        self._index = index
        self._ledger = ledger

    def families(self) -> Iterable[Family]:
        """Labelled with model and version."""
        counted = list(self._ledger.statistics())
        yield counter("conveyor_requests_total", "Requests, by what became of them.", _requests(counted))
        rows = (Sample(labels=version.labels(), value=statistics.rows) for version, statistics in counted)
        yield counter("conveyor_rows_total", "Rows of answered requests.", rows)
        yield counter("conveyor_batches_total", "Batches, by why each was closed.", _batches(counted))
        hanging = (Sample(labels=version.labels(), value=statistics.hanging) for version, statistics in counted)
        yield counter("conveyor_hanging_runs_total", "Runs that were given up because they took too long.", hanging)
        for name, (text, histogram) in HISTOGRAMS.items():
            samples = [
                Sample(labels=version.labels(), value=histogram(statistics.spread).distribution())
                for version, statistics in counted
                if statistics.spread is not None
            ]
            yield Family(name=name, kind=Kind.HISTOGRAM, help=text, samples=samples)
        yield from self._now()

    def _now(self) -> Iterator[Family]:
        models = [(entry, entry.model) for entry in self._index.entries() if entry.model is not None]
        for name, (text, merge, value) in GAUGES.items():
            yield gauge(name, text, (_of(model, value(model.batcher)) for _, model in models), merge)
        size = (_of(model, entry.file.size) for entry, model in models)
        yield gauge("conveyor_model_bytes", "Size of the version's file.", size, Merge.MAX)
        provider = (_of(model, 1, provider=model.provider) for _, model in models)
        yield gauge("conveyor_provider_info", "1 for the execution provider that runs it.", provider, Merge.MAX)
        ready = (
            Sample(labels=Version(entry.name, str(entry.version)).labels(), value=entry.state == State.READY)
            for entry in self._index.entries()
        )
        yield gauge("conveyor_model_ready", "1 where the version serves, else 0.", ready, Merge.MIN)


def _requests(counted: Iterable[tuple[Version, Statistics]]) -> Iterator[Sample]:
    for version, statistics in counted:
        yield Sample(labels={**version.labels(), "outcome": SUCCESS}, value=statistics.success.count)
        for kind, count in {**dict.fromkeys(USUAL_FAILURES, 0), **statistics.failures}.items():
            yield Sample(labels={**version.labels(), "outcome": kind.name.lower()}, value=count)


def _batches(counted: Iterable[tuple[Version, Statistics]]) -> Iterator[Sample]:
    for version, statistics in counted:
        for closing, count in statistics.closed.items():
            yield Sample(labels={**version.labels(), "reason": closing.value}, value=count)


def _of(model: Model, value: float, **labels: str) -> Sample:
    return Sample(labels={**Version(model.name, model.version_text).labels(), **labels}, value=value)
