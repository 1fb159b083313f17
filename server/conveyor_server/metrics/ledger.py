"""What each model version has counted since the process started, through reloads and after it was unloaded."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import NamedTuple

from conveyor_server.index import Index
from conveyor_server.model import Model
from conveyor_server.statistics import Statistics


class Version(NamedTuple):
    """What a model version's metrics are labelled with."""

    model: str
    version: str

    def labels(self) -> dict[str, str]:
        """For a sample."""
        return self._asdict()


class Ledger:
    """Call `note` after every change of the index. Belongs to the event loop's thread."""

    def __init__(self, index: Index) -> None:
        self._index = index
        # Models that can still count: those that serve, and those that finish what they accepted.
        self._counting: weakref.WeakKeyDictionary[Model, Statistics] = weakref.WeakKeyDictionary()
        # Their statistics, kept alive for as long as they are not in the sums of those gone.
        self._open: list[tuple[weakref.ref[Model], Version, Statistics]] = []
        self._gone: dict[Version, Statistics] = {}

    def note(self) -> None:
        """Takes up models that are new in the index."""
        for entry in self._index.entries():
            model = entry.model
            if model is not None and model not in self._counting:
                statistics = model.batcher.statistics
                self._counting[model] = statistics
                self._open.append((weakref.ref(model), Version(model.name, model.version_text), statistics))

    def statistics(self) -> Iterator[tuple[Version, Statistics]]:
        """All there are; those of one version may come in several parts, which add up."""
        self._close_those_gone()
        yield from self._gone.items()
        for _, version, statistics in self._open:
            yield version, statistics

    def _close_those_gone(self) -> None:
        still_open = []
        for entry in self._open:
            model, version, statistics = entry
            if model() is not None:
                still_open.append(entry)
            else:
                self._gone.setdefault(version, Statistics()).include(statistics)
        self._open = still_open
