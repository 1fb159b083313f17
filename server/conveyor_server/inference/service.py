"""inference.GRPCInferenceService: the table of its methods, and the handlers that only look something up."""

from __future__ import annotations

from importlib import metadata
from typing import Final

from google.protobuf.message import Message

from conveyor_server.calls import CallContext, Method, MethodTable, StreamMethod, UnaryHandler, UnaryMethod
from conveyor_server.entry import State
from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.groups import Group
from conveyor_server.health import Health
from conveyor_server.inference import SERVICE
from conveyor_server.inference import inference_pb2 as pb
from conveyor_server.inference.codes import INFERENCE_CODES
from conveyor_server.inference.counters import statistics_of
from conveyor_server.inference.description import config_of, metadata_of
from conveyor_server.inference.infer import InferenceHandlers
from conveyor_server.inference.live_settings import change_log_level, log_settings
from conveyor_server.inference.lookup import find_entry, find_model, is_known
from conveyor_server.inference.repository_control import RepositoryHandlers
from conveyor_server.inference.shared_memory import SharedMemory
from conveyor_server.inference.trace_settings import TraceSettings
from conveyor_server.repository import Repository
from conveyor_server.shortening import shortened

SERVER_NAME: Final = "conveyor"
DISTRIBUTION: Final = "conveyor"
# Only what is offered here, in the protocol's words.
EXTENSIONS: Final = (
    "classification",
    "model_repository",
    "schedule_policy",
    "model_configuration",
    "system_shared_memory",
    "binary_tensor_data",
    "parameters",
    "statistics",
    "logging",
)


class GRPCInferenceService:
    """The whole service, over one repository."""

    def __init__(
        self,
        repository: Repository,
        health: Health,
        inference: InferenceHandlers,
        control: RepositoryHandlers,
        memory: SharedMemory,
        tracing: TraceSettings,
    ) -> None:
        self._repository = repository
        self._health = health
        self._inference = inference
        self._control = control
        self._memory = memory
        self._tracing = tracing
        self._version = metadata.version(DISTRIBUTION)

    def methods(self) -> MethodTable:
        """The handlers by the full paths of their methods."""
        control = self._control
        table: dict[str, Method] = {
            "ServerLive": _unary(self.server_live, pb.ServerLiveRequest, Group.HEALTH),
            "ServerReady": _unary(self.server_ready, pb.ServerReadyRequest, Group.HEALTH),
            "ModelReady": _unary(self.model_ready, pb.ModelReadyRequest, Group.HEALTH),
            "ServerMetadata": _unary(self.server_metadata, pb.ServerMetadataRequest),
            "ModelMetadata": _unary(self.model_metadata, pb.ModelMetadataRequest),
            "ModelConfig": _unary(self.model_config, pb.ModelConfigRequest),
            "ModelStatistics": _unary(self.model_statistics, pb.ModelStatisticsRequest, Group.METRICS),
            "ModelInfer": UnaryMethod(
                handler=self._inference.model_infer,
                request_type=pb.ModelInferRequest,
                codes=INFERENCE_CODES,
                group=Group.INFERENCE,
                shortcut=self._inference.shortcut,
            ),
            "ModelStreamInfer": StreamMethod(
                handler=self._inference.model_stream_infer,
                request_type=pb.ModelInferRequest,
                codes=INFERENCE_CODES,
                group=Group.INFERENCE,
            ),
            "RepositoryIndex": _unary(control.index, pb.RepositoryIndexRequest),
            "RepositoryModelLoad": _unary(control.load, pb.RepositoryModelLoadRequest, Group.ADMIN),
            "RepositoryModelUnload": _unary(control.unload, pb.RepositoryModelUnloadRequest, Group.ADMIN),
            "SystemSharedMemoryStatus": _unary(self.memory_status, pb.SystemSharedMemoryStatusRequest, Group.ADMIN),
            "SystemSharedMemoryRegister": _unary(
                self.memory_register, pb.SystemSharedMemoryRegisterRequest, Group.ADMIN
            ),
            "SystemSharedMemoryUnregister": _unary(
                self.memory_unregister, pb.SystemSharedMemoryUnregisterRequest, Group.ADMIN
            ),
            "CudaSharedMemoryStatus": _unary(self.cuda_memory, pb.CudaSharedMemoryStatusRequest, Group.ADMIN),
            "CudaSharedMemoryRegister": _unary(self.cuda_memory, pb.CudaSharedMemoryRegisterRequest, Group.ADMIN),
            "CudaSharedMemoryUnregister": _unary(self.cuda_memory, pb.CudaSharedMemoryUnregisterRequest, Group.ADMIN),
            "TraceSetting": _unary(self.trace_setting, pb.TraceSettingRequest, Group.ADMIN),
            "LogSettings": _unary(self.log_settings, pb.LogSettingsRequest, Group.ADMIN),
        }
        return {f"/{SERVICE}/{name}": method for name, method in table.items()}

    async def server_live(self, request: pb.ServerLiveRequest, context: CallContext) -> pb.ServerLiveResponse:
        """True for as long as there is an answer."""
        return pb.ServerLiveResponse(live=True)

    async def server_ready(self, request: pb.ServerReadyRequest, context: CallContext) -> pb.ServerReadyResponse:
        """As the health service says for the whole server."""
        return pb.ServerReadyResponse(ready=self._health.is_ready)

    async def model_ready(self, request: pb.ModelReadyRequest, context: CallContext) -> pb.ModelReadyResponse:
        """Whether the version answers. Not knowing it is an error."""
        entry = find_entry(self._repository, request.name, request.version)
        ready = entry.state == State.READY and not self._health.says_no
        return pb.ModelReadyResponse(ready=ready)

    async def server_metadata(
        self, request: pb.ServerMetadataRequest, context: CallContext
    ) -> pb.ServerMetadataResponse:
        """Name, version and extensions."""
        return pb.ServerMetadataResponse(name=SERVER_NAME, version=self._version, extensions=EXTENSIONS)

    async def model_metadata(self, request: pb.ModelMetadataRequest, context: CallContext) -> pb.ModelMetadataResponse:
        """Names, types and shapes of the tensors."""
        model = find_model(self._repository, request.name, request.version)
        ready = [entry.version for entry in self._repository.entries() if entry.name == model.name and entry.model]
        return metadata_of(model, ready)

    async def model_config(self, request: pb.ModelConfigRequest, context: CallContext) -> pb.ModelConfigResponse:
        """How the model is served."""
        return pb.ModelConfigResponse(config=config_of(find_model(self._repository, request.name, request.version)))

    async def model_statistics(
        self, request: pb.ModelStatisticsRequest, context: CallContext
    ) -> pb.ModelStatisticsResponse:
        """Counters of one version, of one model's versions, or of all that are ready."""
        if request.name and not is_known(self._repository, request.name):
            raise _not_available(request.name)
        if request.version:
            find_entry(self._repository, request.name, request.version)
        ready = [entry.model for entry in self._repository.entries() if entry.model]
        wanted = [
            model for model in ready if request.name in ("", model.name) and request.version in ("", model.version_text)
        ]
        if request.name and not wanted:
            raise _not_available(request.name)
        return pb.ModelStatisticsResponse(model_stats=[statistics_of(model) for model in wanted])

    async def memory_status(
        self, request: pb.SystemSharedMemoryStatusRequest, context: CallContext
    ) -> pb.SystemSharedMemoryStatusResponse:
        """One registered region, or all."""
        response = pb.SystemSharedMemoryStatusResponse()
        for region in self._memory.regions(request.name):
            status = response.regions[region.name]
            status.name, status.key = region.name, region.key
            status.offset, status.byte_size = region.offset, region.byte_size
        return response

    async def memory_register(
        self, request: pb.SystemSharedMemoryRegisterRequest, context: CallContext
    ) -> pb.SystemSharedMemoryRegisterResponse:
        """Opens a region for the requests that follow."""
        self._memory.register(request.name, request.key, request.offset, request.byte_size)
        return pb.SystemSharedMemoryRegisterResponse()

    async def memory_unregister(
        self, request: pb.SystemSharedMemoryUnregisterRequest, context: CallContext
    ) -> pb.SystemSharedMemoryUnregisterResponse:
        """Forgets one region, or all."""
        self._memory.unregister(request.name)
        return pb.SystemSharedMemoryUnregisterResponse()

    async def cuda_memory(self, request: Message, context: CallContext) -> Message:
        """Not served."""
        message = "CUDA shared memory is not served; send tensors in the message, or through system shared memory"
        raise ServingError(ErrorKind.UNSUPPORTED, message)

    async def trace_setting(self, request: pb.TraceSettingRequest, context: CallContext) -> pb.TraceSettingResponse:
        """What is traced, after any change that was asked for; the same for every model."""
        if request.model_name:
            find_entry(self._repository, request.model_name, "")
            if request.settings:
                message = "trace settings are the same for every model; change them without naming one"
                raise ServingError(ErrorKind.UNSUPPORTED, message)
        self._tracing.change(request.settings)
        return self._tracing.current()

    async def log_settings(self, request: pb.LogSettingsRequest, context: CallContext) -> pb.LogSettingsResponse:
        """What is logged, after any change that was asked for."""
        change_log_level(request.settings)
        return log_settings()


def _unary(handler: UnaryHandler, request_type: type[Message], group: Group = Group.INFERENCE) -> UnaryMethod:
    return UnaryMethod(handler=handler, request_type=request_type, codes=INFERENCE_CODES, group=group)


def _not_available(name: str) -> ServingError:
    return ServingError(ErrorKind.INVALID_ARGUMENT, f"requested model '{shortened(name)}' is not available")
