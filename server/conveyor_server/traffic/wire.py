"""Traffic as `conveyor.v1` writes it."""

from __future__ import annotations

from typing import Final

from conveyor.v1 import admin_pb2 as pb
from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.folder import is_version
from conveyor_server.shortening import shortened
from conveyor_server.traffic.comparison import Comparison
from conveyor_server.traffic.rule import MIN_ROWS, Limits, Rule
from conveyor_server.traffic.state import Decision, Step, TrafficState

_STEPS: Final[dict[Step, pb.Step.ValueType]] = {
    "set": pb.STEP_SET,
    "promoted": pb.STEP_PROMOTED,
    "rolled_back": pb.STEP_ROLLED_BACK,
    "cleared": pb.STEP_CLEARED,
}
_MICROSECONDS: Final = 1_000_000


def read_rule(message: pb.TrafficRule, serving: int) -> Rule:
    """The rule that a caller wants; `serving` is stable where none is named. Raises ServingError."""
    limits = message.limits
    rule = Rule(
        stable=read_version(message.stable_version) or serving,
        canary=read_version(message.canary_version),
        canary_share=message.canary_share,
        shadow=read_version(message.shadow_version),
        shadow_share=message.shadow_share if message.HasField("shadow_share") else 1.0,
        sticky_key=message.sticky_key.lower(),
        limits=Limits(
            min_rows=limits.min_rows if limits.HasField("min_rows") else MIN_ROWS,
            min_agreement=limits.min_agreement if limits.HasField("min_agreement") else None,
            max_error_share=limits.max_error_share if limits.HasField("max_error_share") else None,
            max_latency_ratio=limits.max_latency_ratio if limits.HasField("max_latency_ratio") else None,
        ),
    )
    problem = rule.problem()
    if problem is not None:
        raise ServingError(ErrorKind.INVALID_ARGUMENT, problem)
    return rule


def read_version(text: str) -> int | None:
    """A version's number; None for an empty text. Raises ServingError."""
    if text and not is_version(text):
        message = f"model version {shortened(text)!r} is not a positive whole number, as 1"
        raise ServingError(ErrorKind.INVALID_ARGUMENT, message)
    return int(text) if text else None


def write_traffic(name: str, state: TrafficState, comparison: Comparison | None) -> pb.Traffic:
    """All that there is to know of a model's traffic."""
    rule = state.rule
    traffic = pb.Traffic(
        model_name=name,
        previous_version=_text(state.previous),
        rejected_versions=[str(version) for version in state.rejected],
        decisions=[_decision(each) for each in state.decisions],
        revision=state.revision,
    )
    if rule is not None:
        traffic.rule.CopyFrom(_rule(rule))
        if rule.trial is not None:
            traffic.comparison.CopyFrom(_comparison(rule, comparison or Comparison()))
    return traffic


def _rule(rule: Rule) -> pb.TrafficRule:
    limits = rule.limits
    return pb.TrafficRule(
        stable_version=str(rule.stable),
        canary_version=_text(rule.canary),
        canary_share=rule.canary_share,
        shadow_version=_text(rule.shadow),
        shadow_share=None if rule.shadow is None else rule.shadow_share,
        sticky_key=rule.sticky_key,
        limits=pb.TrafficLimits(
            min_rows=limits.min_rows,
            min_agreement=limits.min_agreement,
            max_error_share=limits.max_error_share,
            max_latency_ratio=limits.max_latency_ratio,
        ),
    )


def _comparison(rule: Rule, sums: Comparison) -> pb.Comparison:
    per_row = _MICROSECONDS / sums.rows if sums.rows else 0.0
    return pb.Comparison(
        trial_version=_text(rule.trial),
        stable_version=str(rule.stable),
        rows=int(sums.rows),
        agreements=int(sums.agreements),
        agreement=sums.agreement,
        confidence_shift=sums.confidence_shift,
        mean_difference=sums.mean_difference,
        max_difference=sums.max_difference,
        relative_difference=sums.relative_difference,
        trial_us=sums.trial_seconds * per_row,
        stable_us=sums.stable_seconds * per_row,
        latency_ratio=sums.latency_ratio,
        trial_failed_rows=int(sums.trial_failed),
        stable_failed_rows=int(sums.stable_failed),
        trial_error_share=sums.trial_error_share,
        stable_error_share=sums.stable_error_share,
        dropped_rows=int(sums.dropped),
    )


def _decision(decision: Decision) -> pb.TrafficDecision:
    return pb.TrafficDecision(
        step=_STEPS[decision.step],
        reason=decision.reason,
        automatic=decision.automatic,
        stable_version=_text(decision.stable),
        trial_version=_text(decision.trial),
        time=decision.time,
    )


def _text(version: int | None) -> str:
    return "" if version is None else str(version)
