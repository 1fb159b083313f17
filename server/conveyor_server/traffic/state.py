"""All that is decided about a model's traffic, and the steps that change it: data in, data out, no clock, no server.

Every process holds the same state. A change says by its revision which state it was made from, so that of two changes
at the same moment only one is taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal

from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.traffic.rule import Rule

if TYPE_CHECKING:
    from pydantic import TypeAdapter

KEPT_DECISIONS: Final = 20
NO_FILES: Final[Mapping[int, str]] = {}

Step = Literal["set", "promoted", "rolled_back", "cleared"]
# Why a trial ended: the limit that was crossed, or "asked".
Cause = Literal["agreement", "errors", "latency", "asked"]


@dataclass(frozen=True, kw_only=True)
class Decision:
    """One change of the traffic. `time` in seconds since the epoch."""

    step: Step
    reason: str
    automatic: bool
    stable: int | None
    trial: int | None
    time: float
    # The digest of the file that was rolled back, where it is known.
    file: str = ""


@dataclass(frozen=True, kw_only=True)
class TrafficState:
    """What holds for one model."""

    # None: the newest version answers.
    rule: Rule | None = None
    # What was stable before the last promotion.
    previous: int | None = None
    # Versions that were rolled back; they answer only who names them.
    rejected: tuple[int, ...] = ()
    decisions: tuple[Decision, ...] = ()
    # How often a trial was ended, by the cause.
    rollbacks: Mapping[Cause, int] = field(default_factory=dict)
    revision: int = 0

    def with_rule(self, rule: Rule, now: float) -> TrafficState:
        """The rule holds from now on."""
        rejected = tuple(version for version in self.rejected if version not in rule.versions)
        decision = Decision(step="set", reason="", automatic=False, stable=rule.stable, trial=rule.trial, time=now)
        return replace(self._after(decision), rule=rule, rejected=rejected)

    def cleared(self, now: float) -> TrafficState:
        """No rule holds any more."""
        decision = Decision(step="cleared", reason="", automatic=False, stable=None, trial=None, time=now)
        return replace(self._after(decision), rule=None, previous=None, rejected=())

    def promoted(self, version: int, before: int, now: float) -> TrafficState:
        """`version` is stable in place of the one `before`, and there is no trial."""
        decision = Decision(step="promoted", reason="", automatic=False, stable=version, trial=None, time=now)
        previous = before if before != version else self.previous
        rejected = tuple(each for each in self.rejected if each != version)
        return replace(self._after(decision), rule=Rule(stable=version), previous=previous, rejected=rejected)

    def rolled_back(self, reason: str, cause: Cause, now: float, files: Mapping[int, str] = NO_FILES) -> TrafficState:
        """The trial is over, or else the last promotion undone. Raises ServingError when there is neither.

        `files` are the digests of versions' files.
        """
        rule = self.rule
        if rule is not None and rule.trial is not None:
            gone, stable = rule.trial, rule.stable
        elif rule is not None and self.previous is not None:
            gone, stable = rule.stable, self.previous
        else:
            message = "there is nothing to roll back: no version is on trial, and none was promoted"
            raise ServingError(ErrorKind.INVALID_ARGUMENT, message)
        automatic = cause != "asked"
        decision = Decision(
            step="rolled_back",
            reason=reason,
            automatic=automatic,
            stable=stable,
            trial=gone,
            time=now,
            file=files.get(gone, ""),
        )
        return replace(
            self._after(decision),
            rule=Rule(stable=stable),
            previous=None,
            rejected=(*(each for each in self.rejected if each != gone), gone),
            rollbacks={**self.rollbacks, cause: self.rollbacks.get(cause, 0) + 1},
        )

    def _after(self, decision: Decision) -> TrafficState:
        decisions = (*self.decisions, decision)[-KEPT_DECISIONS:]
        return replace(self, decisions=decisions, revision=self.revision + 1)

    def in_words(self) -> str:
        """The rule for the log."""
        rule = self.rule
        if rule is None:
            return "rule=none"
        words = [f"stable={rule.stable}"]
        if rule.canary is not None:
            words.append(f"canary={rule.canary} share={rule.canary_share:g}")
        if rule.shadow is not None:
            words.append(f"shadow={rule.shadow} share={rule.shadow_share:g}")
        return " ".join(words)

    def to_json(self) -> dict[str, Any]:
        """For `json.dumps`."""
        fields: dict[str, Any] = _adapter().dump_python(self, mode="json")
        return fields


@cache
def _adapter() -> TypeAdapter[TrafficState]:
    # Only here: most servers have no rule, and start without.
    from pydantic import TypeAdapter

    return TypeAdapter(TrafficState)


def state_of_json(fields: Mapping[str, Any]) -> TrafficState:
    """Reads what `to_json` wrote."""
    return _adapter().validate_python(fields)


def check_follows(name: str, new: TrafficState, known: TrafficState) -> None:
    """Raises ServingError unless `new` was made from what is known."""
    if new.revision != known.revision + 1:
        message = f"the traffic of model {name!r} was changed by another at this moment; look at it and try again"
        raise ServingError(ErrorKind.NOT_READY, message)
