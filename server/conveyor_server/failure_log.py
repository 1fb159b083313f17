"""Logs failures that may come with every batch, and only the first of each while."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

# Between two lines.
QUIET_SECONDS: Final = 60.0


class FailureLog:
    """Of one place where something may fail again and again."""

    def __init__(self, log: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._quiet_until = float("-inf")
        self._left_out = 0

    def log(self, sentence: str) -> None:
        """Called where the error is handled: the line has its traceback, and how many were left out before it."""
        now = self._clock()
        if now < self._quiet_until:
            self._left_out += 1
            return
        self._log.exception("%s left_out=%d", sentence, self._left_out)
        self._quiet_until, self._left_out = now + QUIET_SECONDS, 0
