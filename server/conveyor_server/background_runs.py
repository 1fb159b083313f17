"""The server's own runs of a model, for comparing: behind callers' work, one at a time, rather given up than late."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np

from conveyor_server.batch import BACKGROUND_PRIORITY, Outcome, Rows
from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.line_limit import LineLimit
from conveyor_server.model import Model

log = logging.getLogger(__name__)

# What may wait for one purpose, at most.
MAX_ROWS: Final = 256
MAX_BYTES: Final = 64 * 1024 * 1024
# Seconds that a run may wait for callers to leave room, and after which it is given up, once it was handed over.
PATIENCE_SECONDS: Final = 0.05
GIVE_UP_SECONDS: Final = 10.0
# While callers wait, own runs leave them so many times what the last own run took.
BUSY_SHARE: Final = 10
LOOK_SECONDS: Final = 0.002

# Is given the outcome, or why there is none.
Done = Callable[[Outcome | ServingError], None]


class _Waiting(NamedTuple):
    parts: Sequence[Rows]
    rows: int
    size: int  # bytes
    done: Done


class BackgroundRuns:
    """Runs on one model, one after the other. Belongs to the event loop's thread."""

    def __init__(self, target: Model, is_busy: Callable[[], bool]) -> None:
        """`is_busy` says whether callers' rows wait."""
        self._target = target
        self._is_busy = is_busy
        self._waiting: deque[_Waiting] = deque()
        self._rows = self._bytes = 0
        self._last_seconds = 0.0
        self._task: asyncio.Task[None] | None = None
        self._failures = LineLimit()

    def offer(self, parts: Sequence[Rows], done: Done) -> bool:
        """Takes the rows, one array or several, as one run, or says no where too much waits. Copies nothing now."""
        rows, size = sum(map(len, parts)), sum(part.nbytes for part in parts)
        if self._waiting and (self._rows + rows > MAX_ROWS or self._bytes + size > MAX_BYTES):
            return False
        self._waiting.append(_Waiting(parts, rows, size, done))
        self._rows += rows
        self._bytes += size
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._work())
        return True

    async def _work(self) -> None:
        try:
            while self._waiting:
                await self._wait_for_room()
                work = self._waiting.popleft()
                self._rows -= work.rows
                self._bytes -= work.size
                began = time.monotonic()
                rows = work.parts[0] if len(work.parts) == 1 else np.concatenate(work.parts)
                self._tell(work, await self._run(rows))
                self._last_seconds = time.monotonic() - began
        finally:
            self._task = None

    def _tell(self, work: _Waiting, outcome: Outcome | ServingError) -> None:
        try:
            work.done(outcome)
        except Exception as error:
            # What waits behind it runs all the same.
            message = "a run was not compared model=%s version=%s"
            self._failures.write_error(log, error, message, self._target.name, self._target.version)

    async def _wait_for_room(self) -> None:
        end = time.monotonic() + max(PATIENCE_SECONDS, BUSY_SHARE * self._last_seconds)
        # Callers' work announces its end to nobody, and should not have to.
        while self._is_busy() and time.monotonic() < end:  # noqa: ASYNC110
            await asyncio.sleep(LOOK_SECONDS)

    async def _run(self, rows: Rows) -> Outcome | ServingError:
        batcher = self._target.batcher
        try:
            batcher.admit(len(rows))
            # A run that hangs is for the watchdog; here nobody waits for it.
            async with asyncio.timeout(GIVE_UP_SECONDS):
                return await batcher.run(rows, time.monotonic() + GIVE_UP_SECONDS / 2, BACKGROUND_PRIORITY)
        except ServingError as error:
            return error
        except TimeoutError:
            return ServingError(ErrorKind.DEADLINE_PASSED, "a run of the server's own took too long")
