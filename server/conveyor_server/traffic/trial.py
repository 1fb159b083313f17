"""One trial in this process: both versions get the same rows, and their answers are compared.

A shadow is given a copy of a share of what the stable version answered. What a canary answered is given to the stable
version. Either way the caller has its answer before the copy is run, and nothing that happens to the copy reaches it.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import partial
from typing import Final

from conveyor_server.background_runs import BackgroundRuns
from conveyor_server.batch import Batch, Outcome, Rows
from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.metrics.histogram import SECONDS, Histogram
from conveyor_server.model import Model
from conveyor_server.traffic.comparison import Comparison, TrialKey
from conveyor_server.traffic.likeness import Likeness, why_not_comparable
from conveyor_server.traffic.rule import Rule

# What becomes of a request that the model was too slow for. A caller's deadline may end it while it runs: then the
# caller is gone.
LOST: Final = (ErrorKind.QUEUE_FULL, ErrorKind.DEADLINE_PASSED, ErrorKind.CANCELLED)


class Trial:
    """Its comparison grows with what is observed. Belongs to the event loop's thread."""

    def __init__(self, rule: Rule, revision: int, stable: Model, trial: Model) -> None:
        self.key = key_of(rule, revision, stable, trial)
        self._comparison = Comparison()
        # Seconds of the trial's runs.
        self.runs = Histogram(SECONDS)
        self._models = (stable, trial)
        self._requests_before = [_requests_of(model) for model in self._models]
        self._is_canary = rule.canary is not None
        self._share = 1.0 if self._is_canary else rule.shadow_share
        self._is_comparable = why_not_comparable(stable, trial) is None
        self._likeness = Likeness(stable, trial)
        self._runs = BackgroundRuns(
            stable if self._is_canary else trial,
            lambda: bool(stable.batcher.waiting_rows or trial.batcher.waiting_rows),
        )

    @property
    def comparison(self) -> Comparison:
        """All that was seen so far."""
        if self._is_canary:
            now = [_requests_of(model) for model in self._models]
            (stable, stable_lost), (trial, trial_lost) = (
                (ended - ended_before, lost - lost_before)
                for (ended, lost), (ended_before, lost_before) in zip(now, self._requests_before, strict=True)
            )
            seen = self._comparison
            seen.stable_requests, seen.stable_lost = stable, stable_lost
            seen.trial_requests, seen.trial_lost = trial, trial_lost
        return self._comparison

    def note_hanging(self) -> None:
        """No session of the version on trial comes back."""
        self._comparison.hanging = 1

    def is_of(self, stable: Model, trial: Model) -> bool:
        """Whether it is about these very models, and not others from equal files."""
        return self._models == (stable, trial)

    def observe_stable(self, batch: Batch, output: Rows | None, compute_seconds: float) -> None:
        """A batch of the stable version's callers."""
        if output is None:
            self._comparison.stable_failed += batch.size
            return
        self._comparison.stable_answered += batch.size
        if not self._is_canary:
            self._copy(batch, output, compute_seconds)

    def observe_trial(self, batch: Batch, output: Rows | None, compute_seconds: float) -> None:
        """A batch of a canary's callers. Who names a shadow version is no part of the trial."""
        if not self._is_canary:
            return
        if output is None:
            self._comparison.trial_failed += batch.size
            return
        self._comparison.trial_answered += batch.size
        self._copy(batch, output, compute_seconds)

    def _copy(self, batch: Batch, output: Rows, compute_seconds: float) -> None:
        if not self._is_comparable or (self._share < 1.0 and random.random() >= self._share):  # noqa: S311
            return
        parts = [segment.rows for segment in batch.segments]
        if not self._runs.offer(parts, partial(self._compare, output, compute_seconds)):
            self._comparison.dropped += batch.size

    def _compare(self, output: Rows, seconds: float, copy: Outcome | ServingError) -> None:
        """Takes in how the copy of a batch with this output, of a run of so many seconds, was answered."""
        comparison = self._comparison
        if isinstance(copy, ServingError):
            if self._is_canary or copy.kind is not ErrorKind.MODEL_FAILED:
                comparison.dropped += len(output)
            else:
                comparison.trial_failed += len(output)
            return
        pair: Sequence[tuple[Rows, float]] = [(output, seconds), (copy.output, copy.compute_seconds)]
        if self._is_canary:
            pair = pair[::-1]
        else:
            comparison.trial_answered += len(output)
        (stable, stable_seconds), (trial, trial_seconds) = pair
        self._likeness.add(comparison, stable, trial)
        comparison.stable_seconds += stable_seconds
        comparison.trial_seconds += trial_seconds
        self.runs.observe(trial_seconds)


def _requests_of(model: Model) -> tuple[int, int]:
    """Callers' requests that have ended, and those among them that were lost."""
    statistics = model.batcher.statistics
    lost = sum(statistics.failures.get(kind, 0) for kind in LOST)
    return statistics.success.count + lost, lost


def key_of(rule: Rule, revision: int, stable: Model, trial: Model) -> TrialKey:
    """Which trial it is."""
    return TrialKey(
        model=stable.name,
        kind="shadow" if rule.canary is None else "canary",
        trial=trial.version_text,
        stable=stable.version_text,
        revision=str(revision),
        files=f"{stable.file_digest}/{trial.file_digest}",
    )
