"""A metric with its samples, as plain data: it crosses from worker to parent as JSON, and adds up there."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol


class Kind(enum.Enum):
    """What Prometheus calls it. UNKNOWN is for names that do not follow its rules."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    UNKNOWN = "unknown"


class Merge(enum.Enum):
    """How samples with the same labels become one, where several workers have them."""

    SUM = "sum"
    MAX = "max"
    MIN = "min"


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """A histogram's value: `counts[i]` observations are at most `bounds[i]` and over the bound before it.

    `counts` is one longer than `bounds`: its last are over every bound.
    """

    bounds: Sequence[float]
    counts: Sequence[int]
    total: float

    @property
    def count(self) -> int:
        """Observations."""
        return sum(self.counts)


Value = float | Distribution


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One value of a metric, told from the others by its labels."""

    labels: Mapping[str, str]
    value: Value


@dataclass(frozen=True, kw_only=True)
class Family:
    """A metric. `name` is whole: "conveyor_rows_total"; without samples only its name and help are shown."""

    name: str
    kind: Kind
    help: str
    samples: Sequence[Sample]
    merge: Merge = Merge.SUM
    # Added up over the workers like the others, and then only worked with, not shown.
    internal: bool = False

    def to_json(self) -> dict[str, Any]:
        """For `json.dumps`."""
        return {
            "name": self.name,
            "kind": self.kind.value,
            "help": self.help,
            "merge": self.merge.value,
            "internal": self.internal,
            "samples": [[dict(sample.labels), _value_to_json(sample.value)] for sample in self.samples],
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Family:
        """Reads what `to_json` wrote."""
        return cls(
            name=fields["name"],
            kind=Kind(fields["kind"]),
            help=fields["help"],
            merge=Merge(fields["merge"]),
            internal=fields["internal"],
            samples=[Sample(labels=labels, value=_value_from_json(value)) for labels, value in fields["samples"]],
        )


class Source(Protocol):
    """A part of the server that has something to tell. It is asked only when somebody looks."""

    def families(self) -> Iterable[Family]:
        """Its metrics now; always all of them, where need be without samples."""


class Derivation(Protocol):
    """Works out what does not add up, such as a ratio, from what does."""

    def families(self, sums: Mapping[str, Family]) -> Iterable[Family]:
        """Further metrics, from all workers' by their names."""


def counter(name: str, text: str, samples: Iterable[Sample]) -> Family:
    """Something that only grows; `name` ends in `_total`."""
    return Family(name=name, kind=Kind.COUNTER, help=text, samples=list(samples))


def gauge(name: str, text: str, samples: Iterable[Sample], merge: Merge = Merge.SUM) -> Family:
    """Something that goes up and down."""
    return Family(name=name, kind=Kind.GAUGE, help=text, samples=list(samples), merge=merge)


def merged(families: Iterable[Family]) -> list[Family]:
    """One family for each name, and in it one sample for each set of labels, in the order of their first coming."""
    first: dict[str, Family] = {}
    values: dict[str, dict[tuple[tuple[str, str], ...], Sample]] = {}
    for family in families:
        first.setdefault(family.name, family)
        samples = values.setdefault(family.name, {})
        for sample in family.samples:
            key = tuple(sorted(sample.labels.items()))
            known = samples.get(key)
            samples[key] = sample if known is None else _joined(known, sample, family.merge)
    return [replace(family, samples=list(values[name].values())) for name, family in first.items()]


def growing(families: Iterable[Family]) -> list[Family]:
    """Those that only grow: what stays true of a worker that has ended."""
    return [family for family in families if family.kind is not Kind.GAUGE and family.merge is Merge.SUM]


def _joined(one: Sample, other: Sample, merge: Merge) -> Sample:
    a, b = one.value, other.value
    if isinstance(a, Distribution) and isinstance(b, Distribution):
        if tuple(a.bounds) != tuple(b.bounds):
            raise ValueError("histograms with different bounds cannot be added up")
        counts = [x + y for x, y in zip(a.counts, b.counts, strict=True)]
        return replace(one, value=Distribution(bounds=a.bounds, counts=counts, total=a.total + b.total))
    assert not isinstance(a, Distribution)
    assert not isinstance(b, Distribution)
    if merge is Merge.SUM:
        return replace(one, value=a + b)
    return replace(one, value=max(a, b) if merge is Merge.MAX else min(a, b))


def _value_to_json(value: Value) -> Any:
    if isinstance(value, Distribution):
        return {"bounds": list(value.bounds), "counts": list(value.counts), "total": value.total}
    return value


def _value_from_json(fields: Any) -> Value:
    return Distribution(**fields) if isinstance(fields, dict) else float(fields)
