"""Runs that hang: their callers are refused, and a model is not ready while the run of every session hangs."""

from __future__ import annotations

import asyncio
import logging
import weakref
from typing import Final

from conveyor_server.model import Model
from conveyor_server.repository import Repository

log = logging.getLogger(__name__)

# Looks in the time that a run may take.
LOOKS: Final = 4


class Watchdog:
    """Looks at every model's runs again and again."""

    def __init__(self, repository: Repository, max_run_seconds: float) -> None:
        self._repository = repository
        self._limit = max_run_seconds
        # Sessions that hung at the last look.
        self._hanging: weakref.WeakKeyDictionary[Model, int] = weakref.WeakKeyDictionary()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(self._limit / LOOKS)
            self.look()

    def look(self) -> None:
        """Gives up runs that hang; suspends models of which every session does, and resumes those that run again."""
        for model in self._repository.models_at_work():
            self._look_at(model)
        for model in self._repository.suspended():
            if not model.batcher.hangs:
                self._repository.resume(model)
        for model in [entry.model for entry in self._repository.entries() if entry.model is not None]:
            if model.batcher.hangs:
                reason = f"its run has taken more than {self._limit:g} seconds and is not back"
                log.error("not ready model=%s version=%d: %s", model.name, model.version, reason)
                self._repository.suspend(model, reason)

    def _look_at(self, model: Model) -> None:
        batcher = model.batcher
        before = self._hanging.get(model, 0)
        given_up = batcher.give_up_hanging(LOOKS, self._limit)
        hanging = self._hanging[model] = batcher.hanging_instances
        if given_up:
            log.error(
                "a run hangs model=%s version=%d hanging=%d sessions=%d seconds=%g: its callers are refused",
                *(model.name, model.version, hanging, batcher.instance_count, self._limit),
            )
        elif hanging < before:
            log.info("runs again model=%s version=%d hanging=%d", model.name, model.version, hanging)
