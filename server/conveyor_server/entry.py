"""One version in the repository's index."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from conveyor.v1 import classifier_pb2
from conveyor_server.folder import VersionFile
from conveyor_server.model import Model


class State(enum.IntEnum):
    """How far a version is; the numbers are those of the wire."""

    LOADING = classifier_pb2.MODEL_STATE_LOADING
    READY = classifier_pb2.MODEL_STATE_READY
    UNLOADING = classifier_pb2.MODEL_STATE_UNLOADING
    UNAVAILABLE = classifier_pb2.MODEL_STATE_UNAVAILABLE


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One version. `model` is there exactly when the state is READY; `file` is the one that it came from."""

    name: str
    version: int
    file: VersionFile
    state: State
    reason: str = ""
    model: Model | None = None
    # Whether this very file was tried, and cannot be served.
    failed: bool = False

    def status(self) -> classifier_pb2.ModelStatus:
        """What callers are told of it."""
        return classifier_pb2.ModelStatus(
            model_name=self.name,
            model_version=str(self.version),
            state=classifier_pb2.ModelState.ValueType(self.state),
            reason=self.reason,
            file_digest=self.model.file_digest if self.model else "",
            provider=self.model.provider if self.model else "",
        )


def unavailable(name: str, version: int, file: VersionFile, reason: str) -> Entry:
    """A version that does not serve, and why."""
    return Entry(name=name, version=version, file=file, state=State.UNAVAILABLE, reason=reason)
