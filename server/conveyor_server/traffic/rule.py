"""A model's traffic rule: which version is stable, which one is on trial, and when the trial is over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

# In `sticky_key`: the request's own id.
REQUEST_ID: Final = "request-id"
MIN_ROWS: Final = 100


@dataclass(frozen=True, kw_only=True)
class Limits:
    """When the server rolls back by itself; None where a limit does not hold. `conveyor.v1.TrafficLimits` says more."""

    min_rows: int = MIN_ROWS
    min_agreement: float | None = None
    max_error_share: float | None = None
    max_latency_ratio: float | None = None

    @property
    def is_set(self) -> bool:
        """Whether there is any."""
        return any(each is not None for each in (self.min_agreement, self.max_error_share, self.max_latency_ratio))


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Versions are numbers, shares lie between 0 and 1. At most one version is on trial: a canary or a shadow."""

    stable: int
    canary: int | None = None
    canary_share: float = 0.0
    shadow: int | None = None
    shadow_share: float = 1.0
    # Empty: by chance. REQUEST_ID, or the name of a metadata key.
    sticky_key: str = ""
    limits: Limits = field(default_factory=Limits)

    @property
    def trial(self) -> int | None:
        """The version on trial."""
        return self.shadow if self.canary is None else self.canary

    @property
    def versions(self) -> list[int]:
        """Those that have to be loaded."""
        return [self.stable] if self.trial is None else [self.stable, self.trial]

    def problem(self) -> str | None:
        """What contradicts itself, in one sentence; None when it is all right."""
        return next(self._problems(), None)

    def _problems(self) -> Iterator[str]:
        if self.canary is not None and self.shadow is not None:
            yield "a model has either a canary or a shadow version, not both"
        if self.trial == self.stable:
            yield f"version {self.stable} cannot be both stable and on trial"
        if self.canary is None and self.canary_share:
            yield "a canary share needs a canary version"
        if self.trial is None and self.limits.is_set:
            yield "limits need a version on trial"
        yield from self._wrong_numbers()

    def _wrong_numbers(self) -> Iterator[str]:
        limits = self.limits
        shares = {
            "the canary share": self.canary_share,
            "the shadow share": self.shadow_share,
            "the least agreement": limits.min_agreement,
            "the largest error share": limits.max_error_share,
        }
        for name, share in shares.items():
            if share is not None and not 0 <= share <= 1:
                yield f"{name} is {share:g}; it must lie between 0 and 1"
        if limits.max_latency_ratio is not None and not 0 < limits.max_latency_ratio < float("inf"):
            yield f"the largest latency ratio is {limits.max_latency_ratio:g}; it must be above 0"
        if limits.min_rows < 1:
            yield "a trial cannot be judged after no rows; give at least 1"
