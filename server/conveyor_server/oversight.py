"""Everything that watches over answers and over which version gives them: traffic, trials, drift, verification."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from conveyor.v1 import classifier_pb2
from conveyor_server.calls import CallContext, MethodTable
from conveyor_server.drift.families import DriftKey, seen_of
from conveyor_server.drift.metrics import DriftCounts, DriftDistances
from conveyor_server.drift.sums import message_of
from conveyor_server.metrics.family import Derivation, Family, Source
from conveyor_server.model import Model
from conveyor_server.observation import Observation
from conveyor_server.observed import observed_families
from conveyor_server.repository import Repository
from conveyor_server.traffic.admin import AdminService
from conveyor_server.traffic.control import TrafficControl
from conveyor_server.traffic.guard import Guard
from conveyor_server.traffic.local import LocalTraffic
from conveyor_server.traffic.memory import memory_of
from conveyor_server.traffic.metrics import TrafficMetrics, TrialMetrics
from conveyor_server.traffic.state import TrafficState
from conveyor_server.traffic.table import Traffic
from conveyor_server.verify_metrics import VerifyMetrics

if TYPE_CHECKING:
    from conveyor_server.settings import ServerSettings


class Oversight:
    """Of one process. Made before the repository loads anything."""

    def __init__(self, settings: ServerSettings, repository: Repository, fellows: TrafficControl | None) -> None:
        """`fellows` control the traffic of all workers, where there are several."""
        window = settings.drift_window if settings.drift else None
        self._observation = Observation(window, settings.verify_rate)
        self._is_alone = fellows is None
        memory = memory_of(settings, decides=self._is_alone)
        self._traffic = Traffic(repository, self._observation, memory.states)
        self._control = fellows or LocalTraffic(self._traffic, self._observation, memory)
        self._repository = repository
        repository.choose = self._traffic.choose
        repository.needed = self._traffic.needed

    def methods(self) -> MethodTable:
        """The administrators' handlers."""
        return AdminService(self._repository, self._traffic, self._control).methods()

    def sources(self) -> Iterable[Source]:
        """What this process counts."""
        return (
            _Observed(self._traffic, self._observation),
            TrafficMetrics(self._traffic),
            DriftCounts(self._observation),
            VerifyMetrics(self._observation),
        )

    def derivations(self) -> Iterable[Derivation]:
        """What follows from all workers' sums."""
        return (TrialMetrics(self._traffic), DriftDistances(self._observation))

    def take(self, name: str, state: TrafficState) -> None:
        """All processes have this traffic from now on."""
        self._traffic.take(name, state)

    def canary_for(self, name: str, version: str, request_id: str, context: CallContext) -> Model | None:
        """The canary version where this request is one of its share; None where it is not."""
        return self._traffic.canary_for(name, version, request_id, context)

    def shares_out(self, name: str) -> bool:
        """Whether a share of the requests that name no version goes to a canary."""
        return self._traffic.shares_out(name)

    async def drift_of(self, model: Model) -> classifier_pb2.Drift | None:
        """What all workers served beside what the model was trained on; None where nothing is known."""
        observer = self._observation.of(model)
        if observer is None or observer.drift is None:
            return None
        key = DriftKey(model=model.name, version=model.version_text, file=model.file_digest)
        seen = seen_of(await self._control.observed(model.name)).get(key)
        return None if seen is None else message_of(seen.sums, seen.rows_seen, observer.drift.trained)

    async def watch(self) -> None:
        """Ends trials that cross their limits, until cancelled; with workers their parent does."""
        if self._is_alone:
            await Guard(self._control, lambda: self._traffic.states).run()


class _Observed:
    """A source of sums that add up, from which figures are derived."""

    def __init__(self, traffic: Traffic, observation: Observation) -> None:
        self._traffic = traffic
        self._observation = observation

    def families(self) -> Iterable[Family]:
        """None of them is shown."""
        return observed_families(self._traffic, self._observation)
