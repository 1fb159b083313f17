"""What is about to take a model's place: loaded off to the side, not serving yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from conveyor_server.folder import VersionFiles
from conveyor_server.model import Model

UNFINISHED: Final = "its file is still being written"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A model's versions: those newly loaded, those kept as they are, and those that cannot be served, with why."""

    name: str
    # All that the folder holds.
    files: VersionFiles
    models: dict[int, Model]
    kept: set[int]
    failures: dict[int, str]

    @property
    def faults(self) -> dict[int, str]:
        """Of the failures those that are the file's own, and stay until it changes."""
        return {version: reason for version, reason in self.failures.items() if reason != UNFINISHED}

    @property
    def versions(self) -> list[int]:
        """Those that serve once it is committed, ascending."""
        return sorted({*self.models, *self.kept})
