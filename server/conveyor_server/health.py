"""grpc.health.v1.Health over the repository: "" for the server as a whole, a model's name for that model.

| asked for          | SERVING when                                                                              |
|--------------------|-------------------------------------------------------------------------------------------|
| "" or a service    | not draining, and every required model serves (none required: at least one model serves,  |
|                    | but with explicit model control, where models come later, none need serve)                |
| a model's name     | not draining, and a version of it serves                                                  |
| this service's own | always: the process answers, which is what a liveness probe wants to know                 |
| with workers       | as above, but none before all of them are ready                                           |
| anything else      | never: Check answers NOT_FOUND, Watch says SERVICE_UNKNOWN and goes on                    |
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Collection

from grpc_health.v1 import health_pb2

from conveyor_server.calls import CallContext, MethodTable, StreamMethod, UnaryMethod
from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.groups import Group
from conveyor_server.inference import SERVICE as INFERENCE_SERVICE
from conveyor_server.repository import Repository
from conveyor_server.service import SERVICE as CLASSIFIER_SERVICE
from conveyor_server.shortening import shortened
from conveyor_server.statuses import CONVEYOR_CODES

SERVICE = "grpc.health.v1.Health"
WHOLE_SERVER = ("", CLASSIFIER_SERVICE, INFERENCE_SERVICE)

Status = health_pb2.HealthCheckResponse


class Health:
    """The handlers, and who watches. Call `publish` after every change that could matter."""

    def __init__(self, repository: Repository, required: Collection[str], *, may_be_empty: bool = False) -> None:
        self._repository = repository
        self._required = frozenset(required)
        self._may_be_empty = may_be_empty
        self._draining = False
        self._held = False
        self._changed = asyncio.Event()

    def methods(self) -> MethodTable:
        """The handlers by the full paths of their methods."""
        request_type = health_pb2.HealthCheckRequest
        return {
            f"/{SERVICE}/Check": UnaryMethod(
                handler=self.check, request_type=request_type, codes=CONVEYOR_CODES, group=Group.HEALTH
            ),
            f"/{SERVICE}/Watch": StreamMethod(
                handler=self.watch, request_type=request_type, codes=CONVEYOR_CODES, group=Group.HEALTH
            ),
        }

    def publish(self) -> None:
        """Lets the watchers look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    def hold(self) -> None:
        """Nothing is SERVING before `release`: other workers on the same port are not ready."""
        self._held = True

    def release(self) -> None:
        """The other workers are ready."""
        self._held = False
        self.publish()

    def drain(self) -> None:
        """From now on nothing is SERVING."""
        self._draining = True
        self.publish()

    @property
    def is_draining(self) -> bool:
        """Whether the server stops."""
        return self._draining

    @property
    def says_no(self) -> bool:
        """Whether nothing is SERVING, whatever is loaded: about to stop, or held."""
        return self._draining or self._held

    @property
    def is_complete(self) -> bool:
        """Whether every model that has to serve does."""
        serving = self._repository.serving()
        return self._required.issubset(serving) and (bool(serving) or self._may_be_empty)

    def why_not_ready(self) -> str | None:
        """In one sentence; None when the server as a whole serves."""
        if self._draining:
            return "the server is stopping"
        if self._held:
            return "other workers are not ready"
        if self.is_complete:
            return None
        serving = self._repository.serving()
        missing = [name for name in sorted(self._required) if name not in serving]
        return f"these required models do not serve: {', '.join(missing)}" if missing else "no model serves"

    @property
    def is_ready(self) -> bool:
        """Whether the server as a whole serves."""
        return self.status("") == Status.SERVING

    def status(self, service: str) -> int:
        """The state of the whole server, of one model or of this service; SERVICE_UNKNOWN for any other name."""
        if service == SERVICE:
            return Status.SERVING
        if service in WHOLE_SERVER:
            ready = self.is_complete
        elif any(entry.name == service for entry in self._repository.entries()):
            ready = service in self._repository.serving()
        else:
            return Status.SERVICE_UNKNOWN
        return Status.SERVING if ready and not self.says_no else Status.NOT_SERVING

    async def check(
        self, request: health_pb2.HealthCheckRequest, context: CallContext
    ) -> health_pb2.HealthCheckResponse:
        """The state now."""
        status = self.status(request.service)
        if status == Status.SERVICE_UNKNOWN:
            raise ServingError(ErrorKind.NOT_FOUND, f"there is no service or model {shortened(request.service)!r}")
        return health_pb2.HealthCheckResponse(status=status)

    async def watch(
        self, requests: AsyncIterator[health_pb2.HealthCheckRequest], context: CallContext
    ) -> AsyncGenerator[health_pb2.HealthCheckResponse, None]:
        """The state now and after each change, until the caller leaves or the server ends."""
        async for request in requests:
            last = None
            while True:
                changed = self._changed
                status = self.status(request.service)
                if status != last:
                    yield health_pb2.HealthCheckResponse(status=status)
                    last = status
                await changed.wait()
