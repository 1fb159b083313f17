"""A version on trial beside the stable one, as sums that add up over workers, and the figures that follow from them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Final

from conveyor_server.metrics.family import Family, Kind, Merge, Sample

_SUMS: Final = "conveyor_trial_sums"
_LARGEST: Final = "conveyor_trial_largest"


@dataclass(kw_only=True)
class Comparison:
    """Sums over the rows that both versions were given. Seconds are those of runs; a row has its share of its run."""

    # Rows that both answered; those among them that agree.
    rows: float = 0
    agreements: float = 0
    # Of the highest probability.
    trial_confidence: float = 0
    stable_confidence: float = 0
    # Over all output values: |trial - stable|, |stable|, and their number.
    difference: float = 0
    magnitude: float = 0
    values: float = 0
    trial_seconds: float = 0
    stable_seconds: float = 0
    # Rows that a version answered, or whose run failed: a canary's own, a shadow's copies.
    trial_answered: float = 0
    trial_failed: float = 0
    stable_answered: float = 0
    stable_failed: float = 0
    dropped: float = 0
    # With a canary, callers' requests that have ended, and those among them that found no room, or whose time or
    # patience was over before their answer.
    trial_requests: float = 0
    trial_lost: float = 0
    stable_requests: float = 0
    stable_lost: float = 0
    # Processes in which every session of the version on trial hung.
    hanging: float = 0
    # Rows for which an answer is no finite number; of those, the rows that the stable version answered so are in no
    # other figure.
    not_finite: float = 0
    # Not a sum.
    max_difference: float = 0

    def since(self, earlier: Comparison) -> Comparison:
        """What has been added to each sum since it was like the other."""
        grown = {each.name: getattr(self, each.name) - getattr(earlier, each.name) for each in fields(self)}
        return Comparison(**{**grown, "max_difference": self.max_difference})

    @property
    def judged_rows(self) -> float:
        """Rows that say something about the version on trial."""
        return self.rows + self.trial_failed

    @property
    def agreement(self) -> float:
        """Share of rows, 0 to 1."""
        return _ratio(self.agreements, self.rows)

    @property
    def confidence_shift(self) -> float:
        """The trial's mean highest probability less the stable version's."""
        return _ratio(self.trial_confidence - self.stable_confidence, self.rows)

    @property
    def mean_difference(self) -> float:
        """Per output value, absolute."""
        return _ratio(self.difference, self.values)

    @property
    def relative_difference(self) -> float:
        """The differences over the stable version's values."""
        return _ratio(self.difference, self.magnitude)

    @property
    def latency_ratio(self) -> float:
        """The trial's runs over the stable version's, for the same rows."""
        return _ratio(self.trial_seconds, self.stable_seconds)

    @property
    def trial_error_share(self) -> float:
        """Share of rows, 0 to 1."""
        return _ratio(self.trial_failed, self.trial_failed + self.trial_answered)

    @property
    def stable_error_share(self) -> float:
        """Share of rows, 0 to 1."""
        return _ratio(self.stable_failed, self.stable_failed + self.stable_answered)

    @property
    def trial_lost_share(self) -> float:
        """Share of requests, 0 to 1."""
        return _ratio(self.trial_lost, self.trial_requests)

    @property
    def stable_lost_share(self) -> float:
        """Share of requests, 0 to 1."""
        return _ratio(self.stable_lost, self.stable_requests)


@dataclass(frozen=True, kw_only=True)
class TrialKey:
    """Which trial the sums are of: another rule, or another file, begins anew."""

    model: str
    kind: str  # "canary" or "shadow"
    trial: str
    stable: str
    revision: str
    # Of both versions' files, the stable one's first.
    files: str

    @property
    def trial_file(self) -> str:
        """The digest of the file on trial."""
        return self.files.partition("/")[2]


def families_of(comparisons: Mapping[TrialKey, Comparison]) -> list[Family]:
    """As families, which add up."""
    sums: list[Sample] = []
    largest: list[Sample] = []
    for key, comparison in comparisons.items():
        labels = vars(key)
        for each in fields(comparison):
            sample = Sample(labels={**labels, "field": each.name}, value=getattr(comparison, each.name))
            (largest if each.name == "max_difference" else sums).append(sample)
    return [
        # A counter: what a worker saw that has ended counts on.
        _internal(_SUMS, Kind.COUNTER, sums, Merge.SUM),
        _internal(_LARGEST, Kind.GAUGE, largest, Merge.MAX),
    ]


def comparisons_of(families: Iterable[Family]) -> dict[TrialKey, Comparison]:
    """Back from families, of which each name comes at most once."""
    found: dict[TrialKey, Comparison] = {}
    for sample in _samples(families):
        labels = dict(sample.labels)
        name = labels.pop("field")
        setattr(found.setdefault(TrialKey(**labels), Comparison()), name, sample.value)
    return found


def _samples(families: Iterable[Family]) -> Iterator[Sample]:
    for family in families:
        if family.name in (_SUMS, _LARGEST):
            yield from family.samples


def _internal(name: str, kind: Kind, samples: list[Sample], merge: Merge) -> Family:
    text = "What a trial's figures follow from."
    return Family(name=name, kind=kind, help=text, samples=samples, merge=merge, internal=True)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
