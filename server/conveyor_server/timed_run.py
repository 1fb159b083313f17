"""A session that says since when it runs, for whoever watches that it comes back."""

from __future__ import annotations

import time

from conveyor_server.batch import Rows
from conveyor_server.instance import Runnable


class TimedRun:
    """A session that says since when it runs."""

    def __init__(self, session: Runnable) -> None:
        self._session = session
        # Seconds of `time.monotonic()`; None while idle. Written by the session's thread, read by the loop's.
        self.since: float | None = None

    def run(self, rows: Rows) -> Rows:
        """The session's own answer."""
        self.since = time.monotonic()
        try:
            return self._session.run(rows)
        finally:
            self.since = None
