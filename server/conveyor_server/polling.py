"""Looks at the repository again and again, and has loaded what is new, and unloaded what has gone."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.folder import RepositoryError, VersionFiles, scan
from conveyor_server.model_control import ModelControl

log = logging.getLogger(__name__)

# What may have gone by the next look, although no file has changed: no worker was there, or they saw different files.
PASSING: Final = (ErrorKind.NOT_READY, ErrorKind.INTERNAL)


class Poller:
    """What was last seen of the folder, and what was last acted on."""

    def __init__(self, root: Path, control: ModelControl) -> None:
        self._root = root
        self._control = control
        self._seen: Mapping[str, VersionFiles] = {}
        # Empty at first: the first look asks for every model, which changes nothing that is loaded already.
        self._applied: dict[str, VersionFiles] = {}
        # Models whose last load came to nothing, and why.
        self._refused: dict[str, str] = {}
        self._is_gone = False

    async def run(self, seconds: float) -> None:
        """Looks every so many seconds, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(seconds)

    def forget(self) -> None:
        """What serves may no longer be what was asked for: the next look asks for every model again."""
        self._applied = {name: {} for name in self._applied}

    async def look(self) -> None:
        """One look. A repository that is gone, or is all of a sudden empty, changes nothing."""
        found = await self._scan()
        if found is None:
            return
        before, self._seen = self._seen, found
        for name, versions in found.items():
            whole = before.get(name) == versions or all(file.is_settled() for file in versions.values())
            # A model of which something is still being written waits for the next look.
            if whole and self._applied.get(name) != versions:
                self._applied[name] = versions
                await self._load(name)
        for name in [name for name in self._applied if name not in found]:
            del self._applied[name]
            log.info("unloading model=%s: it is no longer in the repository", name)
            await self._unload(name)

    async def _scan(self) -> Mapping[str, VersionFiles] | None:
        try:
            found = await asyncio.to_thread(scan, self._root)
            reason = "" if found or not self._applied else f"the repository {self._root} is suddenly empty"
        except RepositoryError as error:
            found, reason = {}, str(error)
        if bool(reason) != self._is_gone:
            self._is_gone = bool(reason)
            if reason:
                log.error("%s; what is loaded serves on", reason)
            else:
                log.info("the repository %s can be read again", self._root)
        return None if reason else found

    async def _load(self, name: str) -> None:
        reason = ""
        try:
            await self._control.load(name, "", reload=False)
        except ServingError as error:
            reason = str(error)
            if reason != self._refused.get(name):
                log.error("model=%s stays as it is: %s", name, error)
            if error.kind in PASSING:
                # Known, so that it is unloaded when it goes, and unlike what is there, so that it is tried again.
                self._applied[name] = {}
        self._refused[name] = reason

    async def _unload(self, name: str) -> None:
        try:
            await self._control.unload(name)
        except ServingError as error:
            log.debug("%s", error)
