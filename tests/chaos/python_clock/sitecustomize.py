"""Python's wall clock, as many days ahead as a file says: run at Python's start where PYTHONPATH has this folder.

For a process in which libfaketime cannot be: what is not Python there keeps the machine's clock.
"""

import os
import time
from pathlib import Path

OFFSET = Path(os.environ["CHAOS_CLOCK"])
SECONDS_OF_A_DAY = 86_400
# Seconds between two looks into the file.
INTERVAL = 0.5


class Clock:
    """The machine's clock and what it is ahead."""

    def __init__(self) -> None:
        self._machine_ns = time.time_ns
        self._ahead_ns = 0
        self._next_look = 0.0

    def time_ns(self) -> int:
        """In place of Python's."""
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + INTERVAL
            self._ahead_ns = int(OFFSET.read_text().strip().removesuffix("d")) * SECONDS_OF_A_DAY * 1_000_000_000
        return self._machine_ns() + self._ahead_ns

    def time(self) -> float:
        """In place of Python's."""
        return self.time_ns() / 1_000_000_000


clock = Clock()
time.time, time.time_ns = clock.time, clock.time_ns
