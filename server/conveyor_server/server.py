"""Everything that one process serves with, put together in one place, and what is done with it in each phase."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import Executor, ThreadPoolExecutor

from conveyor_server.cpu import usable_cpus
from conveyor_server.engines import Engine, MakeEngine
from conveyor_server.errors import StartError
from conveyor_server.gate import Gate
from conveyor_server.health import SERVICE as HEALTH_SERVICE
from conveyor_server.health import Health
from conveyor_server.inference import SERVICE as INFERENCE_SERVICE
from conveyor_server.inference import inference_pb2
from conveyor_server.inference.infer import InferenceHandlers
from conveyor_server.inference.repository_control import RepositoryHandlers
from conveyor_server.inference.service import GRPCInferenceService
from conveyor_server.inference.shared_memory import SharedMemory
from conveyor_server.listening import Listening
from conveyor_server.loading import LoadOptions
from conveyor_server.reflection import Reflection
from conveyor_server.repository import Repository
from conveyor_server.service import SERVICE as CLASSIFIER_SERVICE
from conveyor_server.service import ClassifierService, ServiceLimits
from conveyor_server.session import SessionOptions
from conveyor_server.settings import ServerSettings

log = logging.getLogger(__name__)

MAX_DECODE_THREADS = 8
SERVICES = (CLASSIFIER_SERVICE, INFERENCE_SERVICE, HEALTH_SERVICE)
# In --load-model.
ALL_MODELS = "*"


class Server:
    """One server. Made, and used, inside a running event loop."""

    def __init__(self, settings: ServerSettings, provider: str, make_engine: MakeEngine) -> None:
        self._settings = settings
        self._provider = provider
        threads = settings.decode_threads or min(MAX_DECODE_THREADS, usable_cpus())
        self._decode_pool = ThreadPoolExecutor(threads, thread_name_prefix="conveyor decode")
        self._repository = Repository(settings.repository, load_options(settings, provider, self._decode_pool))
        self._gate = Gate()
        self._health = Health(
            self._repository, _required(settings), may_be_empty=_is_explicit(settings) and not settings.load_model
        )
        self._repository.changed = self._health.publish
        self._engine = self._put_behind(make_engine)
        self.address = ""

    @property
    def unanswered(self) -> int:
        """Accepted calls that have no answer yet."""
        return self._gate.inside

    async def start(self) -> None:
        """Opens the port. Nothing is ready yet, and health says so. Raises StartError when it is taken."""
        port = await self._engine.start()
        host = self._settings.host
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def load(self) -> None:
        """Loads the repository. Raises StartError when a required model does not serve.

        Without a required model a server with nothing to serve stays up, and stays not ready.
        """
        settings = self._settings
        chosen = _is_explicit(settings) and ALL_MODELS not in settings.load_model
        await self._repository.load_all(settings.load_model if chosen else None)
        for name in _required(settings):
            if name not in self._repository.serving():
                raise StartError(f"the required model {name!r} does not serve: {self._repository.why_not(name)}")
        models = ",".join(f"{model.name}/{model.version}" for model in self._repository.serving().values())
        if self._health.is_ready:
            log.info(
                "ready address=%s models=%s engine=%s provider=%s",
                *(self.address, models, self._engine.name, self._provider),
            )
        else:
            log.warning("not ready address=%s: %s holds no model that can be served", self.address, self._root())

    async def drain(self) -> None:
        """Says not ready; after `drain_delay` refuses new work; then finishes what was accepted, or times out."""
        self._health.drain()
        await asyncio.sleep(self._settings.drain_delay)
        self._gate.close()
        try:
            async with asyncio.timeout(self._settings.drain_timeout):
                await self._gate.wait_quiet()
        except TimeoutError:
            log.warning("the drain timed out unanswered=%d", self.unanswered)

    async def close(self) -> None:
        """Closes the port, cuts what is still there and gives everything back."""
        await self._engine.stop(grace=0.0)
        self._repository.close()
        self._decode_pool.shutdown(wait=False, cancel_futures=True)
        log.info("stopped")

    def _root(self) -> str:
        return str(self._settings.repository)

    def _put_behind(self, make_engine: MakeEngine) -> Engine:
        settings = self._settings
        limits = ServiceLimits(
            max_images_per_request=settings.max_images_per_request,
            max_stream_in_flight=settings.max_stream_in_flight,
            expose_golden_samples=settings.expose_golden_samples,
        )
        methods = {
            **ClassifierService(self._repository, self._gate, limits).methods(),
            **self._health.methods(),
            **self._inference().methods(),
            **Reflection(SERVICES, [inference_pb2.DESCRIPTOR.pool]).methods(),
        }
        return make_engine(
            methods,
            Listening(host=settings.host, port=settings.port, max_message_bytes=settings.max_message_bytes),
        )

    def _inference(self) -> GRPCInferenceService:
        settings, memory = self._settings, SharedMemory()
        return GRPCInferenceService(
            self._repository,
            self._health,
            InferenceHandlers(self._repository, self._gate, memory, settings.max_stream_in_flight),
            RepositoryHandlers(self._repository, explicit=_is_explicit(settings)),
            memory,
        )


def _is_explicit(settings: ServerSettings) -> bool:
    return settings.model_control_mode == "explicit"


def _required(settings: ServerSettings) -> list[str]:
    """Models without which the server is not ready."""
    loaded = [name for name in settings.load_model if name != ALL_MODELS] if _is_explicit(settings) else []
    return list(dict.fromkeys([*settings.require_model, *loaded]))


def load_options(settings: ServerSettings, provider: str, decode_pool: Executor) -> LoadOptions:
    """How this server loads models; the threads that are not given come from the CPU quota."""
    cpus = usable_cpus()
    threads = settings.intra_op_threads or max(1, cpus // settings.instance_count)
    log.info(
        "starting provider=%s cpus=%d instance_count=%d intra_op_threads=%d",
        *(provider, cpus, settings.instance_count, threads),
    )
    return LoadOptions(
        session=SessionOptions(provider=provider, intra_op_threads=threads),
        instance_count=settings.instance_count,
        max_queue_size=settings.max_queue_size,
        max_queue_delay=settings.max_queue_delay / 1000,
        max_pixels=settings.max_pixels,
        graph_batch_size=settings.graph_batch_size,
        drain_timeout=settings.drain_timeout,
        decode_pool=decode_pool,
    )
