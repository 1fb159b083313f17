"""How many lines of a kind the log takes in a second: whoever can cause a line can cause them without end."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable
from typing import Final

# Of each kind; the next line says how many were left out.
MAX_LINES_PER_SECOND: Final = 10


class LineLimit:
    """Counts the lines of each kind. Not for several threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._second = 0
        self._written: dict[Hashable, int] = {}
        self._left_out: dict[Hashable, int] = {}

    def allows(self, kind: Hashable) -> int | None:
        """None for a line that is left out, else how many were since the last one of its kind."""
        second = int(self._clock())
        if second != self._second:
            self._second = second
            self._written.clear()
        written = self._written.get(kind, 0)
        if written >= MAX_LINES_PER_SECOND:
            self._left_out[kind] = self._left_out.get(kind, 0) + 1
            return None
        self._written[kind] = written + 1
        return self._left_out.pop(kind, 0)

    def write_error(self, log: logging.Logger, error: Exception, message: str, *values: object) -> bool:
        """Whether the error was written, with its cause, or left out as one of too many with this message."""
        left_out = self.allows(message)
        if left_out is None:
            return False
        if left_out:
            message, values = f"{message} left_out=%d", (*values, left_out)
        log.error(message, *values, exc_info=error)
        return True
