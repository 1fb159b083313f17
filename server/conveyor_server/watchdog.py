"""Models whose run hangs are not ready: nothing more is sent to them until the run comes back."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

from conveyor_server.model import Model
from conveyor_server.repository import Repository

log = logging.getLogger(__name__)

# Looks in the time that a run may take.
LOOKS: Final = 4


class Watchdog:
    """Looks at every model's runs again and again."""

    def __init__(
        self, repository: Repository, max_run_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._repository = repository
        self._limit = max_run_seconds
        self._clock = clock

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(self._limit / LOOKS)
            self.look()

    def look(self) -> None:
        """Suspends the models of which every session hangs, and resumes those that run again."""
        for model in self._repository.suspended():
            if not self._hangs(model):
                log.info("runs again model=%s version=%d", model.name, model.version)
                self._repository.resume(model)
        for model in [entry.model for entry in self._repository.entries() if entry.model is not None]:
            if self._hangs(model):
                reason = f"its run has taken more than {self._limit:g} seconds and is not back"
                log.error("not ready model=%s version=%d: %s", model.name, model.version, reason)
                self._repository.suspend(model, reason)

    def _hangs(self, model: Model) -> bool:
        now = self._clock()
        starts = [run.since for run in model.runs]
        return bool(starts) and all(since is not None and now - since > self._limit for since in starts)
