"""What a trial's sums have grown by of late: a version that turns bad after a good million rows is bad now."""

from __future__ import annotations

from collections import deque
from dataclasses import fields
from typing import Final

from conveyor_server.traffic.comparison import Comparison

SECONDS: Final = 60.0
# Between two sums that are kept.
STEP_SECONDS: Final = 5.0


class Window:
    """Of one trial."""

    def __init__(self) -> None:
        # When each was seen, and what it was then; the first is the last one from before the window.
        self._seen: deque[tuple[float, Comparison]] = deque()

    def growth(self, comparison: Comparison, now: float) -> Comparison | None:
        """Since SECONDS ago, or a little more; None where the trial was not there yet, or its sums began anew."""
        seen = self._seen
        if seen and _has_shrunk(comparison.since(seen[-1][1])):
            seen.clear()
        while len(seen) > 1 and now - seen[1][0] >= SECONDS:
            seen.popleft()
        if not seen or now - seen[-1][0] >= STEP_SECONDS:
            seen.append((now, comparison))
        began, earlier = seen[0]
        return comparison.since(earlier) if now - began >= SECONDS else None


def _has_shrunk(growth: Comparison) -> bool:
    # Differences of confidences and seconds are of floats, and rounding may leave a little less than nothing.
    return any(getattr(growth, each.name) < -0.5 for each in fields(growth))
