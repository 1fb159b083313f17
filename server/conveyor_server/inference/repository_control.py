"""The repository's RPCs: what there is, and, where that is allowed, loading and unloading."""

from __future__ import annotations

from typing import Final

from conveyor_server.calls import CallContext
from conveyor_server.entry import State
from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.inference import inference_pb2 as pb
from conveyor_server.model_control import ModelControl
from conveyor_server.repository import Repository
from conveyor_server.shortening import shortened

_CONFIG: Final = "config"


class RepositoryHandlers:
    """The handlers, over one repository and its control; `explicit` when callers may load and unload."""

    def __init__(self, repository: Repository, control: ModelControl, *, explicit: bool) -> None:
        self._repository = repository
        self._control = control
        self._explicit = explicit

    async def index(self, request: pb.RepositoryIndexRequest, context: CallContext) -> pb.RepositoryIndexResponse:
        """Every version with its state, or only those that are ready."""
        _check_repository_name(request.repository_name)
        response = pb.RepositoryIndexResponse()
        for entry in self._repository.entries():
            if entry.state == State.READY or not request.ready:
                response.models.add(
                    name=entry.name, version=str(entry.version), state=entry.state.name, reason=entry.reason
                )
        return response

    async def load(
        self, request: pb.RepositoryModelLoadRequest, context: CallContext
    ) -> pb.RepositoryModelLoadResponse:
        """Answers once the newest version serves."""
        _check_repository_name(request.repository_name)
        self._check_allowed()
        config = ""
        for name, parameter in request.parameters.items():
            if name != _CONFIG:
                message = (
                    f"load parameter '{shortened(name)}' is not served; models come from the repository's own files"
                )
                raise ServingError(ErrorKind.UNSUPPORTED, message)
            config = parameter.string_param
            if not config:
                raise ServingError(ErrorKind.INVALID_ARGUMENT, f"load parameter '{_CONFIG}' is not a text, or empty")
        await self._control.load(request.model_name, config, reload=True)
        return pb.RepositoryModelLoadResponse()

    async def unload(
        self, request: pb.RepositoryModelUnloadRequest, context: CallContext
    ) -> pb.RepositoryModelUnloadResponse:
        """Answers at once; what the model accepted is finished. No model depends on another, so none goes with it."""
        _check_repository_name(request.repository_name)
        self._check_allowed()
        await self._control.unload(request.model_name)
        return pb.RepositoryModelUnloadResponse()

    def _check_allowed(self) -> None:
        if not self._explicit:
            message = "explicit model load / unload is not allowed; start the server with --model-control-mode explicit"
            raise ServingError(ErrorKind.UNSUPPORTED, message)


def _check_repository_name(name: str) -> None:
    if name:
        raise ServingError(ErrorKind.UNSUPPORTED, "'repository_name' specification is not supported: there is one")
