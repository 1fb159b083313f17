"""What the repository's folder holds now: NAME/VERSION/model.onnx, and whether a file is still being written."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from conveyor_contract.errors import ConveyorError
from conveyor_server.digits import number_in

log = logging.getLogger(__name__)

MODEL_FILE: Final = "model.onnx"
# Seconds that a file has not changed for when it counts as whole.
SETTLE_SECONDS: Final = 0.5
# Seconds to wait for files that go on changing; then the server goes on without them.
PATIENCE_SECONDS: Final = 10.0
INTERVAL_SECONDS: Final = 0.1


class RepositoryError(ConveyorError):
    """The repository's folder cannot be read."""


@dataclass(frozen=True, kw_only=True)
class VersionFile:
    """A version's file as it was found: whoever changes or replaces it changes this."""

    path: Path
    size: int  # bytes
    modified_ns: int
    inode: int

    def is_settled(self) -> bool:
        """Whether nobody seems to be writing it. A time in the future says nothing, and passes."""
        age = time.time() - self.modified_ns / 1_000_000_000
        return not 0 <= age < SETTLE_SECONDS


# By version.
VersionFiles = Mapping[int, VersionFile]


def scan(root: Path) -> dict[str, dict[int, VersionFile]]:
    """The model files by name and version. Dot-folders, and folders without a model, do not count.

    Raises RepositoryError when the folder cannot be read.
    """
    try:
        names = sorted(entry.name for entry in os.scandir(root) if entry.is_dir())
    except OSError as error:
        raise RepositoryError(f"the repository {root} cannot be read ({error.strerror})") from error
    found = {name: scan_model(root, name) for name in names if not name.startswith(".")}
    return {name: versions for name, versions in found.items() if versions}


def scan_model(root: Path, name: str) -> dict[int, VersionFile]:
    """The versions of one model; none when there is no such folder."""
    found = {}
    for path in (root / name).glob(f"*/{MODEL_FILE}"):
        if is_version(path.parent.name):
            if not _is_inside(path, root):
                _warn_of_leaving(path)
                continue
            try:
                status = path.stat()
            except OSError:
                # Taken away in between.
                continue
            found[int(path.parent.name)] = VersionFile(
                path=path, size=status.st_size, modified_ns=status.st_mtime_ns, inode=status.st_ino
            )
    return dict(sorted(found.items()))


def _is_inside(path: Path, root: Path) -> bool:
    """Links are fine as long as they stay inside, as those of a mounted secret or configuration do."""
    return path.resolve().is_relative_to(root.resolve())


@cache
def _warn_of_leaving(path: Path) -> None:
    # Once: the folder is looked at again and again.
    log.warning("%s is left alone: it leads out of the repository", path)


def is_version(text: str) -> bool:
    """True for a positive whole number in plain digits."""
    return bool(number_in(text)) and not text.startswith("0")


async def settled_versions(root: Path, name: str) -> VersionFiles:
    """The versions of one model, once nobody writes them any more, or after PATIENCE_SECONDS.

    Raises RepositoryError when the repository cannot be read.
    """
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        versions = (await asyncio.to_thread(scan, root)).get(name, {})
        if all(file.is_settled() for file in versions.values()) or time.monotonic() >= end:
            return versions
        await asyncio.sleep(INTERVAL_SECONDS)
