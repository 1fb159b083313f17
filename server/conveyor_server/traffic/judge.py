"""Whether a trial has to end: the comparison so far against the rule's limits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import sqrt
from typing import Final

from conveyor_server.traffic.comparison import Comparison
from conveyor_server.traffic.rule import Limits
from conveyor_server.traffic.state import Cause

# Standard deviations: one in a thousand shares lies further off.
DEVIATIONS: Final = 3


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A limit that was crossed, and how, in one sentence."""

    cause: Cause
    reason: str


def judge(comparison: Comparison, limits: Limits) -> Verdict | None:
    """None for as long as nothing speaks against the version on trial, or too few rows do."""
    return next(_verdicts(comparison, limits), None)


def judge_recent(recent: Comparison, limits: Limits, seconds: float) -> Verdict | None:
    """The same of what was added in the last so many seconds.

    A trial has many such times and one beginning, so each share has room for chance.
    """
    least, most = limits.min_agreement, limits.max_error_share
    failed_rows = recent.trial_failed + recent.trial_answered
    roomy = replace(
        limits,
        min_agreement=None if least is None else least - _chance(least, recent.rows),
        max_error_share=None if most is None else most + _chance(most, failed_rows),
    )
    verdict = judge(recent, roomy)
    when = f"in the last {seconds:.0f} seconds, with room for chance"
    return verdict and replace(verdict, reason=f"{when}, {verdict.reason}")


def _verdicts(comparison: Comparison, limits: Limits) -> Iterator[Verdict]:
    if comparison.hanging:
        yield Verdict(cause="errors", reason="its runs hang")
    if comparison.trial_requests >= limits.min_rows:
        yield from _of_requests(comparison, limits)
    if comparison.judged_rows >= limits.min_rows:
        yield from _of_rows(comparison, limits)


def _of_requests(comparison: Comparison, limits: Limits) -> Iterator[Verdict]:
    most = limits.max_error_share
    share, other = comparison.trial_lost_share, comparison.stable_lost_share
    # A caller goes away for reasons of its own too.
    lost = comparison.trial_lost + comparison.stable_lost
    usual = lost / (comparison.trial_requests + comparison.stable_requests)
    if most is not None and share - other > most + _chance(usual, comparison.trial_requests):
        reason = (
            f"{comparison.trial_lost:.0f} requests were refused, late or given up, a share of {share:.4f} against the "
            f"stable version's {other:.4f}; the limit is {most:.4g} more"
        )
        yield Verdict(cause="errors", reason=reason)


def _of_rows(comparison: Comparison, limits: Limits) -> Iterator[Verdict]:
    least = limits.min_agreement
    if least is not None and comparison.rows and comparison.agreement < least:
        rows = comparison.rows
        reason = f"agreement is {comparison.agreement:.4f} over {rows:.0f} rows, under the limit of {least:.4g}"
        yield Verdict(cause="agreement", reason=reason)
    most = limits.max_error_share
    excess = comparison.trial_error_share - comparison.stable_error_share
    if most is not None and excess > most:
        reason = (
            f"{comparison.trial_failed:.0f} rows failed, a share of {comparison.trial_error_share:.4f} against the "
            f"stable version's {comparison.stable_error_share:.4f}; the limit is {most:.4g} more"
        )
        yield Verdict(cause="errors", reason=reason)
    slowest = limits.max_latency_ratio
    if slowest is not None and comparison.latency_ratio > slowest:
        reason = f"runs take {comparison.latency_ratio:.2f} times as long, over the limit of {slowest:g}"
        yield Verdict(cause="latency", reason=reason)


def _chance(share: float, number: float) -> float:
    """How far a share of so many may lie from the true one by chance, hardly ever more."""
    return DEVIATIONS * sqrt(share * (1 - share) / number) if number else 0.0
