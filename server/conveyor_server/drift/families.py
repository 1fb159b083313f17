"""The sums of drift as families, which add up over workers, and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from conveyor_server.drift.sums import DriftSums, no_sums
from conveyor_server.metrics.family import Family, Kind, Sample
from conveyor_server.observation import ModelObserver

_SUMS: Final = "conveyor_drift_sums"
_VECTORS: Final = ("total", "squares", "classes", "confidences")
_NUMBERS: Final = ("rows", "elements")


@dataclass(frozen=True, kw_only=True)
class DriftKey:
    """Which file the sums are of."""

    model: str
    version: str
    file: str


@dataclass(kw_only=True)
class Seen:
    """Of one file, over all workers."""

    sums: DriftSums
    rows_seen: float = 0


def drift_families(observers: Iterable[ModelObserver]) -> list[Family]:
    """What the monitors of these models hold, as one family."""
    samples = [sample for observer in observers for sample in _samples(observer)]
    return [
        Family(name=_SUMS, kind=Kind.GAUGE, help="What drift's figures follow from.", samples=samples, internal=True)
    ]


def _samples(observer: ModelObserver) -> Iterator[Sample]:
    monitor, model = observer.drift, observer.model
    if monitor is None or not monitor.rows_seen:
        return
    labels = {"model": model.name, "version": model.version_text, "file": model.file_digest}
    sums = monitor.sums()
    yield Sample(labels={**labels, "field": "rows_seen", "index": "0"}, value=monitor.rows_seen)
    for name in _NUMBERS:
        yield Sample(labels={**labels, "field": name, "index": "0"}, value=getattr(sums, name))
    for name in _VECTORS:
        for index, value in enumerate(getattr(sums, name).tolist()):
            yield Sample(labels={**labels, "field": name, "index": str(index)}, value=value)


def seen_of(families: Iterable[Family]) -> dict[DriftKey, Seen]:
    """Back from families, of which each name comes at most once."""
    lists: dict[DriftKey, dict[str, dict[int, float]]] = {}
    for family in families:
        for sample in family.samples if family.name == _SUMS else ():
            labels = dict(sample.labels)
            field, index = labels.pop("field"), int(labels.pop("index"))
            assert isinstance(sample.value, int | float)
            lists.setdefault(DriftKey(**labels), {}).setdefault(field, {})[index] = sample.value
    return {key: _seen(fields) for key, fields in lists.items()}


def _seen(fields: dict[str, dict[int, float]]) -> Seen:
    sums = no_sums(0, 0)
    for name in _VECTORS:
        values = fields.get(name, {})
        setattr(sums, name, np.array([values[index] for index in sorted(values)], np.float64))
    for name in _NUMBERS:
        setattr(sums, name, fields[name][0])
    return Seen(sums=sums, rows_seen=fields["rows_seen"][0])
