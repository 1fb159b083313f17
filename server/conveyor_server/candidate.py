"""What is about to take a model's place: loaded off to the side, not serving yet."""

from __future__ import annotations

from dataclasses import dataclass

from conveyor_server.folder import VersionFiles
from conveyor_server.model import Model


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
    def versions(self) -> list[int]:
        """Those that serve once it is committed, ascending."""
        return sorted({*self.models, *self.kept})
