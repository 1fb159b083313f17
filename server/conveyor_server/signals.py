"""SIGTERM and SIGINT as events: the first asks for an orderly stop, the second for an immediate one."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

log = logging.getLogger(__name__)

STOPPING = (signal.SIGTERM, signal.SIGINT)
# One Ctrl-C often arrives twice: from the terminal and from the command that started the server.
ECHO_SECONDS = 0.5


@dataclass(frozen=True)
class StopRequests:
    """`first` is set by the first signal and `second` by the next."""

    first: asyncio.Event = field(default_factory=asyncio.Event)
    second: asyncio.Event = field(default_factory=asyncio.Event)
    times: list[float] = field(default_factory=list)

    def add(self, name: str) -> None:
        """Notes one more request to stop; an echo of the last one does not count."""
        now = time.monotonic()
        if self.times and now - self.times[-1] < ECHO_SECONDS:
            return
        self.times.append(now)
        (self.second if self.first.is_set() else self.first).set()
        log.info("stopping %s signal=%s", "now" if self.second.is_set() else "in order", name)


@contextmanager
def stop_requests() -> Iterator[StopRequests]:
    """Takes the signals over for the running loop, and gives them back at the end. Main thread only."""
    loop = asyncio.get_running_loop()
    requests = StopRequests()
    for number in STOPPING:
        loop.add_signal_handler(number, requests.add, number.name)
    try:
        yield requests
    finally:
        for number in STOPPING:
            loop.remove_signal_handler(number)
