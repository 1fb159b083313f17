"""The same counts under Triton's names and in its units, so that boards made for it show this server."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from conveyor_server.errors import ErrorKind
from conveyor_server.index import Index
from conveyor_server.metrics.family import Family, Kind, Sample
from conveyor_server.metrics.ledger import Ledger, Version
from conveyor_server.statistics import Statistics, Tally

# Triton's reasons for a failed request; any other is OTHER.
REASONS: Final = {
    ErrorKind.QUEUE_FULL: "REJECTED",
    ErrorKind.DEADLINE_PASSED: "REJECTED",
    ErrorKind.CANCELLED: "CANCELED",
    ErrorKind.MODEL_FAILED: "BACKEND",
}
OTHER: Final = "OTHER"

COUNTS: Final[dict[str, tuple[str, Callable[[Statistics], float]]]] = {
    "nv_inference_request_success": ("Answered requests.", lambda s: s.success.count),
    "nv_inference_count": ("Rows of answered requests.", lambda s: s.rows),
    "nv_inference_exec_count": ("Runs of the model.", lambda s: sum(tally.count for tally in s.batches.values())),
}
DURATIONS: Final[dict[str, tuple[str, Callable[[Statistics], Tally]]]] = {
    "nv_inference_request_duration_us": ("Time of answered requests, in microseconds.", lambda s: s.success),
    "nv_inference_queue_duration_us": ("Time in the queue, in microseconds.", lambda s: s.queue),
    "nv_inference_compute_input_duration_us": ("Time before the queue, in microseconds.", lambda s: s.compute_input),
    "nv_inference_compute_infer_duration_us": ("Time of the model's runs, in microseconds.", lambda s: s.compute_infer),
    "nv_inference_compute_output_duration_us": ("All other time, in microseconds.", lambda s: s.compute_output),
}


class TritonSource:
    """A metrics source. Prometheus is told no type: these names break its rules for counters."""

    def __init__(self, index: Index, ledger: Ledger) -> None:
        self._index = index
        self._ledger = ledger

    def families(self) -> Iterable[Family]:
        """Labelled with model and version, as Triton does."""
        counted = list(self._ledger.statistics())
        for name, (text, count) in COUNTS.items():
            yield _family(name, text, (_sample(version, count(statistics)) for version, statistics in counted))
        yield _family("nv_inference_request_failure", "Requests that failed, by Triton's reasons.", _failures(counted))
        for name, (text, tally) in DURATIONS.items():
            samples = (_sample(version, round(1e6 * tally(statistics).seconds)) for version, statistics in counted)
            yield _family(name, text, samples)
        pending = (
            _sample(Version(model.name, model.version_text), model.batcher.in_flight)
            for model in (entry.model for entry in self._index.entries())
            if model is not None
        )
        text = "Requests that wait or run."
        yield Family(name="nv_inference_pending_request_count", kind=Kind.GAUGE, help=text, samples=list(pending))


def _failures(counted: Iterable[tuple[Version, Statistics]]) -> Iterator[Sample]:
    for version, statistics in counted:
        sums = dict.fromkeys((*REASONS.values(), OTHER), 0)
        for kind, count in statistics.failures.items():
            sums[REASONS.get(kind, OTHER)] += count
        for reason, total in sums.items():
            yield Sample(labels={**version.labels(), "reason": reason}, value=total)


def _sample(version: Version, value: float) -> Sample:
    return Sample(labels=version.labels(), value=value)


def _family(name: str, text: str, samples: Iterable[Sample]) -> Family:
    return Family(name=name, kind=Kind.UNKNOWN, help=text, samples=list(samples))
