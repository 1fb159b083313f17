"""How the system schedules this process: as batch work while it needs its CPUs for itself, else as usual.

A thread of batch work that wakes waits for the running thread's turn to end, in place of cutting it short. Where the
threads of a busy server share a core, that makes half as much again of it, and more (server/PERFORMANCE.md). Beside
somebody else's work that never rests the same manners cost milliseconds; but there a server has not the CPUs to
itself, and is scheduled as usual.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

# Seconds between two looks.
INTERVAL: Final = 0.25
# Shares of the CPUs that it may use. Who uses the first has them nearly to itself; below the second it has room, or
# shares them with others.
BATCH_ABOVE: Final = 0.5
USUAL_BELOW: Final = 0.35
_THREADS: Final = Path("/proc/self/task")


class Scheduling:
    """Looks again and again at how much this process uses of its share of the CPUs."""

    def __init__(
        self,
        cpus: float,
        use: Callable[[bool], None] | None = None,
        now: Callable[[], float] = time.monotonic,
        used: Callable[[], float] = time.process_time,
    ) -> None:
        """`cpus` is the share; `use` makes the process batch work, or not; `now` and `used` are in seconds."""
        self._cpus = cpus
        self._use = use or _use_batch
        self._now = now
        self._used = used
        self._last = now(), used()
        self._is_batch = False

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL)
            self.look()

    def look(self) -> None:
        """Changes over where the last interval says so."""
        (then, before), self._last = self._last, (self._now(), self._used())
        share = (self._last[1] - before) / max(1e-9, self._last[0] - then) / self._cpus
        if share < USUAL_BELOW if self._is_batch else share > BATCH_ABOVE:
            self._is_batch = not self._is_batch
            log.debug("scheduling batch=%s: %.0f %% of the CPUs were used", self._is_batch, 100 * share)
            self._use(self._is_batch)


def can_be_batch() -> bool:
    """Whether this system knows batch work, and nobody has chosen another policy for this process."""
    return hasattr(os, "SCHED_BATCH") and _THREADS.is_dir() and os.sched_getscheduler(0) == os.SCHED_OTHER


def _use_batch(batch: bool) -> None:
    policy = os.SCHED_BATCH if batch else os.SCHED_OTHER
    for thread in _THREADS.iterdir():
        # It may have ended meanwhile, or a container's rules may forbid it.
        with suppress(OSError):
            os.sched_setscheduler(int(thread.name), policy, os.sched_param(0))
