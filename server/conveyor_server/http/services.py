"""What the HTTP routes work with: the same objects as the gRPC handlers, handed over once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from conveyor_server.calls import MethodTable
from conveyor_server.doors.doors import Doors
from conveyor_server.health import Health
from conveyor_server.metrics.registry import Metrics
from conveyor_server.repository import Repository

if TYPE_CHECKING:
    from conveyor_server.settings import ServerSettings


@dataclass(frozen=True, kw_only=True)
class HttpServices:
    """The parts of one server. A route that does a model's work goes through `methods`, as a gRPC call does."""

    # As the engine has them, but for callers who were admitted before their request was read.
    methods: MethodTable
    repository: Repository
    health: Health
    metrics: Metrics
    doors: Doors
    settings: ServerSettings
