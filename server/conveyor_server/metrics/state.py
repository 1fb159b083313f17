"""How the server as a whole stands: ready, stopping, its version, its workers."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import metadata
from typing import TYPE_CHECKING

from conveyor_server.metrics.family import Family, Merge, Sample, counter, gauge

if TYPE_CHECKING:
    # The parent of workers has no health of its own, and does without what that needs.
    from conveyor_server.health import Health


class StateSource:
    """A metrics source of one process that serves."""

    def __init__(self, health: Health) -> None:
        self._health = health
        self._version = metadata.version("conveyor")

    def families(self) -> Iterable[Family]:
        """Of several workers it is ready once all are."""
        ready = [Sample(labels={}, value=self._health.is_ready)]
        yield gauge("conveyor_server_ready", "1 while the server as a whole serves, else 0.", ready, Merge.MIN)
        draining = [Sample(labels={}, value=self._health.is_draining)]
        yield gauge("conveyor_server_draining", "1 while the server stops, else 0.", draining, Merge.MAX)
        build = [Sample(labels={"version": self._version}, value=1)]
        yield gauge("conveyor_build_info", "1 for the version of Conveyor that runs.", build, Merge.MAX)


class WorkersSource:
    """A metrics source of whoever starts the processes; a server that serves itself is its one worker."""

    def __init__(self, serving: int = 0) -> None:
        self.serving = serving
        self.restarts = 0

    def families(self) -> Iterable[Family]:
        """Of the whole server."""
        serving = [Sample(labels={}, value=self.serving)]
        yield gauge("conveyor_workers", "Processes that serve.", serving)
        restarts = [Sample(labels={}, value=self.restarts)]
        text = "Processes that were started because another had ended unexpectedly."
        yield counter("conveyor_worker_restarts_total", text, restarts)
