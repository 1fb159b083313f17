"""What the metrics page says of rows that were run again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from conveyor_server.metrics.family import Family, Merge, Sample, counter, gauge
from conveyor_server.observation import Observation
from conveyor_server.verifying import Verifier

_COUNTERS: Final[Mapping[str, tuple[str, Callable[[Verifier], float]]]] = {
    "conveyor_verified_rows_total": ("Served rows that were run again, each alone.", lambda each: each.rows),
    "conveyor_verify_mismatches_total": (
        "Of those, rows whose answer was another, beyond the tolerance that the model's file states.",
        lambda each: each.mismatches,
    ),
    "conveyor_verify_dropped_total": ("Rows that were to be run again and were not.", lambda each: each.dropped),
}
_LARGEST: Final = "Largest difference of an output value between a row as served and as run alone."


class VerifyMetrics:
    """A source; without --verify-rate it has no samples."""

    def __init__(self, observation: Observation) -> None:
        self._observation = observation

    def families(self) -> Iterable[Family]:
        """Of every model that is ready."""
        verifiers = [
            ({"model": observer.model.name, "version": observer.model.version_text}, observer.verifier)
            for observer in self._observation
            if observer.verifier is not None
        ]
        for name, (text, value) in _COUNTERS.items():
            yield counter(name, text, [Sample(labels=labels, value=value(each)) for labels, each in verifiers])
        largest = [Sample(labels=labels, value=each.max_difference) for labels, each in verifiers]
        yield gauge("conveyor_verify_max_difference", _LARGEST, largest, Merge.MAX)
