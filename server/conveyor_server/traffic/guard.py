"""Ends a trial by itself once a limit of its rule is crossed.

Runs in the process that decides: the only one, or the parent of the workers.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from conveyor_server.errors import ServingError
from conveyor_server.metrics.family import Family
from conveyor_server.traffic.comparison import Comparison, TrialKey, comparisons_of
from conveyor_server.traffic.control import TrafficControl
from conveyor_server.traffic.judge import Verdict, judge, judge_recent
from conveyor_server.traffic.rule import Limits, Rule
from conveyor_server.traffic.state import TrafficState
from conveyor_server.traffic.window import SECONDS, Window

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 0.5


class Guard:
    """Looks at every trial that has limits, again and again."""

    def __init__(
        self,
        control: TrafficControl,
        states: Callable[[], Mapping[str, TrafficState]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._control = control
        self._states = states
        self._clock = clock
        # By the model's name: the revision of the rule that its trial is of, and the trial's last minute.
        self._windows: dict[str, tuple[int, Window]] = {}

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self.look()

    async def look(self) -> None:
        """Once."""
        for name, state in list(self._states().items()):
            rule = state.rule
            if rule is not None and rule.trial is not None and rule.limits.is_set:
                try:
                    await self._look_at(name, state, rule)
                except ServingError as error:
                    # Changed meanwhile, or no worker is there: the next look will tell.
                    log.debug("the trial of model=%s was not judged: %s", name, error)
                except Exception:
                    # Whatever it is, the other trials need their guard.
                    log.exception("the trial of model=%s was not judged", name)

    async def _look_at(self, name: str, state: TrafficState, rule: Rule) -> None:
        trial = trial_of(await self._control.observed(name), name, state.revision)
        if trial is None:
            return
        key, comparison = trial
        verdict = self._judge(name, state.revision, comparison, rule.limits)
        if verdict is None:
            return
        log.warning("rolling back model=%s version=%s to version=%s: %s", name, rule.trial, rule.stable, verdict.reason)
        files = {int(key.trial): key.trial_file}
        rolled_back = state.rolled_back(verdict.reason, verdict.cause, time.time(), files)
        await self._control.change_traffic(name, rolled_back)

    def _judge(self, name: str, revision: int, comparison: Comparison, limits: Limits) -> Verdict | None:
        """By all that was seen, and by the last minute alone."""
        known, window = self._windows.get(name, (None, None))
        if window is None or known != revision:
            window = Window()
            self._windows[name] = (revision, window)
        recent = window.growth(comparison, self._clock())
        verdict = judge(comparison, limits)
        if verdict is None and recent is not None:
            verdict = judge_recent(recent, limits, SECONDS)
        return verdict


def trial_of(families: Iterable[Family], name: str, revision: int) -> tuple[TrialKey, Comparison] | None:
    """A model's trial under the rule of this revision, and its comparison; None where none has begun."""
    found = [
        (key, comparison)
        for key, comparison in comparisons_of(families).items()
        if key.model == name and key.revision == str(revision)
    ]
    # More than one while workers hold different files; the one that most is known of.
    return max(found, key=lambda each: each[1].judged_rows, default=None)
