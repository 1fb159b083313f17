"""Changing the traffic in the process that serves, when it is the only one."""

from __future__ import annotations

from collections.abc import Sequence

from conveyor_server.metrics.family import Family
from conveyor_server.observation import Observation
from conveyor_server.observed import observed_families
from conveyor_server.traffic.memory import TrafficMemory
from conveyor_server.traffic.state import TrafficState, check_follows
from conveyor_server.traffic.table import Traffic


class LocalTraffic:
    """A TrafficControl over one process."""

    def __init__(self, traffic: Traffic, observation: Observation, memory: TrafficMemory) -> None:
        self._traffic = traffic
        self._observation = observation
        self._memory = memory

    async def change_traffic(self, name: str, state: TrafficState) -> None:
        """Takes it over."""
        check_follows(name, state, self._traffic.state(name))
        self._traffic.take(name, state)
        await self._memory.keep(name, state)

    async def observed(self, name: str) -> Sequence[Family]:
        """What this process has seen."""
        return observed_families(self._traffic, self._observation, name)
