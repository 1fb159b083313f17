"""The deadlines of requests that wait, watched by one timer, so that who is answered in time pays nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from conveyor_server.batch import PendingRequest

# Seconds between two looks at the queue: under overload, when deadlines pass all the time, one look serves many.
SHORTEST_INTERVAL: Final = 0.001

Expire = Callable[[PendingRequest], None]


def sooner(deadline: float | None, latest: float) -> float:
    """The earlier of the two, where there are two."""
    return latest if deadline is None else min(deadline, latest)


class DeadlineWatch:
    """Looks for requests among `waiting` whose deadline has passed, at most SHORTEST_INTERVAL seconds late.

    Whoever has left `waiting` meanwhile is never looked at. Belongs to the event loop's thread.
    """

    def __init__(
        self,
        waiting: Iterable[PendingRequest],
        loop: asyncio.AbstractEventLoop,
        clock: Callable[[], float],
    ) -> None:
        self._waiting = waiting
        self._loop = loop
        self._clock = clock
        self._timer: asyncio.TimerHandle | None = None
        # When the timer goes off, in seconds of the clock.
        self._next_look = 0.0

    def add(self, deadline: float, expire: Expire) -> None:
        """Has a deadline watched, in seconds of the clock; it costs something only when it is the earliest.

        `expire` is called for whoever is late. It is not kept, or its owner would be kept alive for the collector.
        """
        if self._timer is None:
            self._look_at(deadline, expire)
        elif deadline < self._next_look:
            self._timer.cancel()
            self._look_at(deadline, expire)

    def close(self) -> None:
        """Watches no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_at(self, deadline: float, expire: Expire) -> None:
        delay = max(SHORTEST_INTERVAL, deadline - self._clock())
        self._next_look = self._clock() + delay
        self._timer = self._loop.call_later(delay, self._look, expire)

    def _look(self, expire: Expire) -> None:
        self._timer = None
        now = self._clock()
        deadlines = []
        for request in list(self._waiting):
            if request.deadline is None:
                continue
            if request.deadline <= now:
                expire(request)
            else:
                deadlines.append(request.deadline)
        if deadlines:
            self._look_at(min(deadlines), expire)
