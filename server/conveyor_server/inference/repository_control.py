"""The repository's RPCs: what there is, and, where that is allowed, loading and unloading."""

from __future__ import annotations

from typing import Final

from conveyor.v1 import classifier_pb2
from conveyor_server.calls import CallContext
from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.inference import inference_pb2 as pb
from conveyor_server.inference.overrides import options_with
from conveyor_server.repository import Repository

_STATES: Final = {
    classifier_pb2.MODEL_STATE_LOADING: "LOADING",
    classifier_pb2.MODEL_STATE_READY: "READY",
    classifier_pb2.MODEL_STATE_UNAVAILABLE: "UNAVAILABLE",
    classifier_pb2.MODEL_STATE_UNLOADING: "UNLOADING",
}
_CONFIG: Final = "config"


class RepositoryHandlers:
    """The handlers, over one repository; `explicit` when callers may load and unload."""

    def __init__(self, repository: Repository, *, explicit: bool) -> None:
        self._repository = repository
        self._explicit = explicit

    async def index(self, request: pb.RepositoryIndexRequest, context: CallContext) -> pb.RepositoryIndexResponse:
        """Every version with its state, or only those that are ready."""
        _check_repository_name(request.repository_name)
        response = pb.RepositoryIndexResponse()
        for entry in self._repository.entries():
            if entry.state == classifier_pb2.MODEL_STATE_READY or not request.ready:
                state = _STATES.get(entry.state, "UNKNOWN")
                response.models.add(name=entry.name, version=str(entry.version), state=state, reason=entry.reason)
        return response

    async def load(
        self, request: pb.RepositoryModelLoadRequest, context: CallContext
    ) -> pb.RepositoryModelLoadResponse:
        """Answers once the newest version serves."""
        _check_repository_name(request.repository_name)
        self._check_allowed()
        options = self._repository.options
        for name, parameter in request.parameters.items():
            if name != _CONFIG:
                message = f"load parameter '{name}' is not served; models come from the repository's own files"
                raise ServingError(ErrorKind.UNSUPPORTED, message)
            options = options_with(options, request.model_name, parameter.string_param)
        await self._repository.load(request.model_name, options)
        return pb.RepositoryModelLoadResponse()

    async def unload(
        self, request: pb.RepositoryModelUnloadRequest, context: CallContext
    ) -> pb.RepositoryModelUnloadResponse:
        """Answers at once; what the model accepted is finished. No model depends on another, so none goes with it."""
        _check_repository_name(request.repository_name)
        self._check_allowed()
        await self._repository.unload(request.model_name)
        return pb.RepositoryModelUnloadResponse()

    def _check_allowed(self) -> None:
        if not self._explicit:
            message = "explicit model load / unload is not allowed; start the server with --model-control-mode explicit"
            raise ServingError(ErrorKind.UNSUPPORTED, message)


def _check_repository_name(name: str) -> None:
    if name:
        raise ServingError(ErrorKind.UNSUPPORTED, "'repository_name' specification is not supported: there is one")
