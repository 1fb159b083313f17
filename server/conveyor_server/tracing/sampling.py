"""Which calls are traced, as it holds now: the settings say it at the start, TraceSetting changes it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True, kw_only=True)
class TraceSampling:
    """`share` (0 to 1) of the calls that come without a trace of their own; the callers' own flag rules the others."""

    share: float
    is_on: bool = True
