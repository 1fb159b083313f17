"""Notices that files were changed or replaced, by looking at them now and then: links and mounts included."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from conveyor_server.errors import StartError

log = logging.getLogger(__name__)

INTERVAL_SECONDS: Final = 0.5

# Of each file inode, size and time of the last change; None for one that is not there.
State = list[tuple[int, int, int] | None]


class FileWatch:
    """Has changed files read again, once they have been left alone for an interval: several may change together."""

    def __init__(self, what: str, paths: Sequence[Path], reload: Callable[[], None]) -> None:
        """`reload` reads all of them, and raises StartError to go on with what was read before."""
        self._what = what
        self._paths = paths
        self._reload = reload
        self._used = self._seen = state_of(paths)

    async def run(self) -> None:
        """Looks until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            self.look(await asyncio.to_thread(state_of, self._paths))

    def look(self, state: State) -> None:
        """Takes note of how the files are now."""
        is_quiet, self._seen = state == self._seen, state
        if not is_quiet or state == self._used:
            return
        self._used = state
        try:
            self._reload()
        except StartError as error:
            log.error("the changed %s cannot be used, and nothing changes: %s", self._what, error)
        else:
            log.info("the changed %s will be used from now on", self._what)


def state_of(paths: Sequence[Path]) -> State:
    """How the files are now, whatever their names lead to."""
    state: State = []
    for path in paths:
        try:
            found = os.stat(path)
            state.append((found.st_ino, found.st_size, found.st_mtime_ns))
        except OSError:
            state.append(None)
    return state
