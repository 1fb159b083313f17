"""What the workers have counted, in the parent: added up, and kept of those that have ended."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from conveyor_server.metrics.family import Family, Source, growing, merged
from conveyor_server.workers.link import Kind, Link, LinkClosedError

# Seconds for a worker to answer; one that hangs counts as it did when it was last asked.
PATIENCE: Final = 2.0


class Counts:
    """The workers' last snapshots. What a worker counts between the last one and a sudden end is lost."""

    def __init__(self, own: Sequence[Source]) -> None:
        """`own` are the parent's metrics."""
        self._own = own
        self._last: dict[Link, Sequence[Family]] = {}
        self._ended: list[Family] = []

    def join(self, link: Link) -> None:
        """A worker that counts from now on."""
        self._last[link] = ()

    def leave(self, link: Link) -> None:
        """The worker has ended; what only grows stays in the sums."""
        self._ended = merged([*self._ended, *growing(self._last.pop(link, ()))])

    async def collect(self) -> list[Family]:
        """Asks all, and adds up."""
        await asyncio.gather(*(self._ask(link) for link in self._last))
        own = (family for source in self._own for family in source.families())
        return merged([*(family for last in self._last.values() for family in last), *self._ended, *own])

    async def _ask(self, link: Link) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                answer = await link.ask(Kind.COUNTS)
        except (TimeoutError, LinkClosedError):
            return
        # It may have left meanwhile, with what it said before.
        if link in self._last:
            self._last[link] = [Family.from_json(family) for family in answer["families"]]
