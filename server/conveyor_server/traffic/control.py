"""Changing the traffic of every process that serves, and asking all of them what they have seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from conveyor_server.metrics.family import Family
from conveyor_server.traffic.state import TrafficState


class TrafficControl(Protocol):
    """Over one process, or all workers."""

    async def change_traffic(self, name: str, state: TrafficState) -> None:
        """Everybody takes over the state. Raises ServingError when it was not made from the one that holds."""

    async def observed(self, name: str) -> Sequence[Family]:
        """What was seen of the model, added up."""
