"""What the metrics page says of traffic."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, get_args

from conveyor_server.metrics.family import Family, Kind, Merge, Sample, counter, gauge
from conveyor_server.traffic.comparison import Comparison, TrialKey, comparisons_of
from conveyor_server.traffic.state import Cause
from conveyor_server.traffic.table import Traffic

# name: (what it says, a counter?, its value, None while there is none). Of one trial each, with the labels model,
# version, stable and kind.
_OF_A_TRIAL: Final[Mapping[str, tuple[str, bool, Callable[[Comparison], float | None]]]] = {
    "conveyor_shadow_rows_total": ("Rows that both versions answered.", True, lambda each: each.rows),
    "conveyor_shadow_disagreements_total": (
        "Rows for which the versions said different things.",
        True,
        lambda each: each.rows - each.agreements,
    ),
    "conveyor_shadow_dropped_total": ("Rows that were to be compared and were not.", True, lambda each: each.dropped),
    "conveyor_shadow_not_finite_rows_total": (
        "Rows to which a version's answer was no finite number.",
        True,
        lambda each: each.not_finite,
    ),
    "conveyor_shadow_failed_rows_total": (
        "Rows whose run failed in the version on trial.",
        True,
        lambda each: each.trial_failed,
    ),
    "conveyor_shadow_lost_requests_total": (
        "Requests for a canary that were refused, late or given up.",
        True,
        lambda each: each.trial_lost,
    ),
    "conveyor_shadow_agreement_ratio": (
        "Share of the compared rows for which both versions said the same.",
        False,
        lambda each: each.agreement if each.rows else None,
    ),
    "conveyor_shadow_confidence_shift": (
        "Mean highest probability of the version on trial less the stable version's.",
        False,
        lambda each: each.confidence_shift if each.rows else None,
    ),
    "conveyor_shadow_latency_ratio": (
        "Runs of the version on trial over the stable version's, for the same rows.",
        False,
        lambda each: each.latency_ratio if each.rows else None,
    ),
}


class TrafficMetrics:
    """A source: the decisions, which every worker knows alike, and how long this one's runs on trial take."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic

    def families(self) -> Iterable[Family]:
        """The share of canaries, how often a trial was ended, and the runs of those that go on."""
        yield self._runs()
        yield from self._decisions()

    def _runs(self) -> Family:
        samples = [
            Sample(labels=_labels(trial.key), value=trial.runs.distribution()) for trial in self._traffic.trials()
        ]
        text = "Runs of the version on trial for the compared rows."
        return Family(name="conveyor_shadow_seconds", kind=Kind.HISTOGRAM, help=text, samples=samples)

    def _decisions(self) -> Iterable[Family]:
        shares, rollbacks = [], []
        for name in self._traffic.names():
            state = self._traffic.state(name)
            rule = state.rule
            if rule is not None and rule.canary is not None:
                labels = {"model": name, "version": str(rule.canary)}
                shares.append(Sample(labels=labels, value=rule.canary_share))
            # All from the start on: no increase can be had of a series that begins at 1.
            rollbacks += [
                Sample(labels={"model": name, "reason": cause}, value=state.rollbacks.get(cause, 0))
                for cause in get_args(Cause)
            ]
        share = "Share of the requests that the version on trial answers."
        yield gauge("conveyor_canary_share", share, shares, Merge.MAX)
        text = "Versions that were rolled back, by the limit that was crossed, or asked."
        name = "conveyor_rollbacks_total"
        yield Family(name=name, kind=Kind.COUNTER, help=text, samples=rollbacks, merge=Merge.MAX)


class TrialMetrics:
    """A derivation: the figures of the trials that run, from all workers' sums."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic

    def families(self, sums: Mapping[str, Family]) -> Iterable[Family]:
        """One sample a trial; no ratio of nothing."""
        comparisons = {key: each for key, each in comparisons_of(sums.values()).items() if self._runs(key)}
        for name, (text, grows, value) in _OF_A_TRIAL.items():
            samples = []
            for key, comparison in comparisons.items():
                figure = value(comparison)
                if figure is not None:
                    samples.append(Sample(labels=_labels(key), value=figure))
            yield counter(name, text, samples) if grows else gauge(name, text, samples, Merge.MAX)

    def _runs(self, key: TrialKey) -> bool:
        """Not one that is over: of a worker that has ended its sums stay."""
        return key.revision == str(self._traffic.state(key.model).revision)


def _labels(key: TrialKey) -> dict[str, str]:
    return {"model": key.model, "version": key.trial, "stable": key.stable, "kind": key.kind}
