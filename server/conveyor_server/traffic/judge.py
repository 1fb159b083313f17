"""Whether a trial has to end: the comparison so far against the rule's limits."""

from __future__ import annotations

from dataclasses import dataclass

from conveyor_server.traffic.comparison import Comparison
from conveyor_server.traffic.rule import Limits
from conveyor_server.traffic.state import Cause


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A limit that was crossed, and how, in one sentence."""

    cause: Cause
    reason: str


def judge(comparison: Comparison, limits: Limits) -> Verdict | None:
    """None for as long as nothing speaks against the version on trial, or too few rows do."""
    if comparison.judged_rows < limits.min_rows:
        return None
    least = limits.min_agreement
    if least is not None and comparison.rows and comparison.agreement < least:
        reason = (
            f"agreement is {comparison.agreement:.4f} over {comparison.rows:.0f} rows, under the limit of {least:g}"
        )
        return Verdict(cause="agreement", reason=reason)
    most = limits.max_error_share
    excess = comparison.trial_error_share - comparison.stable_error_share
    if most is not None and excess > most:
        reason = (
            f"{comparison.trial_failed:.0f} rows failed, a share of {comparison.trial_error_share:.4f} against the "
            f"stable version's {comparison.stable_error_share:.4f}; the limit is {most:g} more"
        )
        return Verdict(cause="errors", reason=reason)
    slowest = limits.max_latency_ratio
    if slowest is not None and comparison.latency_ratio > slowest:
        reason = f"runs take {comparison.latency_ratio:.2f} times as long, over the limit of {slowest:g}"
        return Verdict(cause="latency", reason=reason)
    return None
