"""conveyor.v1.AdminService: each handler reads the request, lets the traffic change everywhere, and shows it."""

from __future__ import annotations

import logging
import time

from google.protobuf.message import Message

from conveyor.v1 import admin_pb2 as pb
from conveyor_server.calls import CallContext, MethodTable, UnaryHandler, UnaryMethod
from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.groups import Group
from conveyor_server.index import Index
from conveyor_server.statuses import CONVEYOR_CODES
from conveyor_server.traffic.control import TrafficControl
from conveyor_server.traffic.guard import trial_of
from conveyor_server.traffic.likeness import why_not_comparable
from conveyor_server.traffic.rule import Rule
from conveyor_server.traffic.state import TrafficState
from conveyor_server.traffic.table import Traffic
from conveyor_server.traffic.wire import read_rule, read_version, write_traffic

log = logging.getLogger(__name__)

SERVICE = "conveyor.v1.AdminService"
MAX_REASON = 500  # characters


class AdminService:
    """The handlers."""

    def __init__(self, index: Index, traffic: Traffic, control: TrafficControl) -> None:
        self._index = index
        self._traffic = traffic
        self._control = control

    def methods(self) -> MethodTable:
        """The handlers by the full paths of their methods."""
        handlers: dict[str, tuple[UnaryHandler, type[Message]]] = {
            "SetTraffic": (self.set_traffic, pb.SetTrafficRequest),
            "GetTraffic": (self.get_traffic, pb.GetTrafficRequest),
            "Promote": (self.promote, pb.PromoteRequest),
            "RollBack": (self.roll_back, pb.RollBackRequest),
        }
        return {
            f"/{SERVICE}/{name}": UnaryMethod(
                handler=handler, request_type=request_type, codes=CONVEYOR_CODES, group=Group.ADMIN
            )
            for name, (handler, request_type) in handlers.items()
        }

    async def set_traffic(self, request: pb.SetTrafficRequest, context: CallContext) -> pb.Traffic:
        """The rule holds in every worker once this is answered."""
        name = request.model_name
        self._index.entry(name, "")
        if request.rule == pb.TrafficRule():
            return await self._change(name, self._traffic.state(name).cleared(time.time()))
        serving = self._index.serving().get(name)
        if serving is None and not request.rule.stable_version:
            raise ServingError(ErrorKind.NOT_READY, f"no version of model {name!r} answers now; name the stable one")
        rule = read_rule(request.rule, serving.version if serving else 0)
        self._check_versions(name, rule)
        return await self._change(name, self._traffic.state(name).with_rule(rule, time.time()))

    async def get_traffic(self, request: pb.GetTrafficRequest, context: CallContext) -> pb.Traffic:
        """As it is now."""
        self._index.entry(request.model_name, "")
        return await self._shown(request.model_name)

    async def promote(self, request: pb.PromoteRequest, context: CallContext) -> pb.Traffic:
        """The version on trial, or the one that is named, is stable once this is answered."""
        name = request.model_name
        self._index.entry(name, "")
        state = self._traffic.state(name)
        version = read_version(request.model_version) or (state.rule.trial if state.rule else None)
        if version is None:
            message = f"no version of model {name!r} is on trial; name the version to promote"
            raise ServingError(ErrorKind.INVALID_ARGUMENT, message)
        self._index.find(name, str(version))
        serving = self._index.serving().get(name)
        before = state.rule.stable if state.rule else serving.version if serving else version
        return await self._change(name, state.promoted(version, before, time.time()))

    async def roll_back(self, request: pb.RollBackRequest, context: CallContext) -> pb.Traffic:
        """The trial is over, or the last promotion undone, once this is answered."""
        name = request.model_name
        self._index.entry(name, "")
        files = {entry.version: entry.model.file_digest for entry in self._index.entries_of(name) if entry.model}
        state = self._traffic.state(name).rolled_back(request.reason[:MAX_REASON], "asked", time.time(), files)
        if state.rule is not None:
            self._index.find(name, str(state.rule.stable))
        return await self._change(name, state)

    async def _change(self, name: str, state: TrafficState) -> pb.Traffic:
        await self._control.change_traffic(name, state)
        log.info("traffic model=%s %s", name, state.in_words())
        return await self._shown(name)

    async def _shown(self, name: str) -> pb.Traffic:
        state = self._traffic.state(name)
        is_trial = state.rule is not None and state.rule.trial is not None
        trial = trial_of(await self._control.observed(name), name, state.revision) if is_trial else None
        return write_traffic(name, state, trial and trial[1])

    def _check_versions(self, name: str, rule: Rule) -> None:
        """Raises ServingError unless every version is ready, and a shadow can be compared."""
        models = [self._index.find(name, str(version)) for version in rule.versions]
        if rule.shadow is not None and (problem := why_not_comparable(*models)):
            raise ServingError(ErrorKind.INVALID_ARGUMENT, f"version {rule.shadow} cannot be a shadow: {problem}")
