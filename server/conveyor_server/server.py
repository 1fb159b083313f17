"""Everything that one process serves with, put together in one place, and what is done with it in each phase."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from conveyor_server.calls import MethodTable
from conveyor_server.control import LocalControl
from conveyor_server.cpu import usable_cpus
from conveyor_server.devices import device_options
from conveyor_server.doors.doors import make_doors
from conveyor_server.doors.source import DoorsSource
from conveyor_server.engines import MakeEngine
from conveyor_server.errors import StartError
from conveyor_server.gate import Gate
from conveyor_server.health import SERVICE as HEALTH_SERVICE
from conveyor_server.health import Health
from conveyor_server.http.beside import HttpBeside
from conveyor_server.http.services import HttpServices
from conveyor_server.image_formats import formats_of
from conveyor_server.inference import SERVICE as INFERENCE_SERVICE
from conveyor_server.inference import inference_pb2
from conveyor_server.inference.infer import InferenceHandlers
from conveyor_server.inference.repository_control import RepositoryHandlers
from conveyor_server.inference.service import GRPCInferenceService
from conveyor_server.inference.shared_memory import SharedMemory
from conveyor_server.inference.trace_settings import TraceSettings
from conveyor_server.listening import address_in_words, grpc_listening
from conveyor_server.loading import LoadOptions
from conveyor_server.metrics.family import Source
from conveyor_server.metrics.ledger import Ledger
from conveyor_server.metrics.models import ModelsSource
from conveyor_server.metrics.process import ProcessSource
from conveyor_server.metrics.registry import Metrics
from conveyor_server.metrics.state import StateSource, WorkersSource
from conveyor_server.metrics.triton import TritonSource
from conveyor_server.model_control import ModelControl
from conveyor_server.oversight import Oversight
from conveyor_server.polling import Poller
from conveyor_server.reflection import Reflection
from conveyor_server.repository import Repository
from conveyor_server.scheduling import Scheduling, can_be_batch
from conveyor_server.service import SERVICE as CLASSIFIER_SERVICE
from conveyor_server.service import ClassifierService, ServiceLimits
from conveyor_server.session import SessionOptions
from conveyor_server.tracing.observing import Observing
from conveyor_server.traffic.admin import SERVICE as ADMIN_SERVICE
from conveyor_server.traffic.state import TrafficState
from conveyor_server.version_policy import parse_policy
from conveyor_server.watchdog import Watchdog
from conveyor_server.workers.fellows import Fellows
from conveyor_server.workers.joining import load_shared
from conveyor_server.workers.start import Report, SharedState

if TYPE_CHECKING:
    from conveyor_server.settings import ServerSettings

log = logging.getLogger(__name__)

MAX_DECODE_THREADS = 8
# Seconds for the last answers over HTTP.
HTTP_LAST_SECONDS = 1.0
SERVICES = (CLASSIFIER_SERVICE, ADMIN_SERVICE, INFERENCE_SERVICE, HEALTH_SERVICE)
# In --load-model.
ALL_MODELS = "*"


class Server:
    """One server. Made, and used, inside a running event loop."""

    def __init__(
        self, settings: ServerSettings, provider: str, make_engine: MakeEngine, fellows: Fellows | None = None
    ) -> None:
        """With `fellows` it is one of several workers behind the port."""
        self._settings = settings
        self._provider = provider
        self._fellows = fellows
        self._doors = make_doors(settings)
        self._observing = Observing(settings)
        threads = settings.decode_threads or min(MAX_DECODE_THREADS, usable_cpus())
        self._decode_pool = ThreadPoolExecutor(threads, thread_name_prefix="conveyor decode")
        self.repository = Repository(
            settings.repository,
            replace(
                load_options(settings, provider, self._decode_pool, fellows.number if fellows else 0),
                watch_load=self._observing.watch_load,
            ),
            parse_policy(settings.version_policy),
        )
        self._oversight = Oversight(settings, self.repository, fellows)
        self._gate = Gate()
        self._control: ModelControl = fellows or LocalControl(self.repository)
        self._health = Health(
            self.repository, _required(settings), may_be_empty=_is_explicit(settings) and not settings.load_model
        )
        if fellows is not None:
            self._health.hold()
        self._ledger = Ledger(self.repository)
        self.repository.changed = self._note_change
        self.metrics = self._make_metrics()
        own = self._own_methods()
        # What concerns every worker goes to every worker.
        self._methods = own if fellows is None else fellows.share(own)
        watched = self._observing.watched(self._doors.guard_all(self._methods))
        self._engine = make_engine(watched, grpc_listening(settings, shared=fellows is not None))
        self._http: HttpBeside | None = None
        self._loaded = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None
        self._watching_tokens: asyncio.Task[None] | None = None
        self._overseeing: asyncio.Task[None] | None = None
        self._scheduling: asyncio.Task[None] | None = None
        self.address = ""
        self.http_address = ""

    def _note_change(self) -> None:
        self._ledger.note()
        self._health.publish()

    def _make_metrics(self) -> Metrics:
        fellows = self._fellows
        sources: list[Source] = [
            ModelsSource(self.repository, self._ledger),
            StateSource(self._health),
            DoorsSource(self._doors),
            ProcessSource("server" if fellows is None else f"worker-{fellows.number}"),
            TritonSource(self.repository, self._ledger),
            *self._oversight.sources(),
        ]
        if fellows is None:
            # With workers their parent has it.
            sources.append(WorkersSource(serving=1))
        everywhere = None if fellows is None else fellows.metrics
        return Metrics(sources, self._oversight.derivations(), everywhere)

    @property
    def unanswered(self) -> int:
        """Accepted calls that have no answer yet."""
        return self._gate.inside

    async def start(self) -> None:
        """Opens the ports. Nothing is ready yet, and health says so. Raises StartError when one is taken.

        Who asks over HTTP waits a moment for an answer; `until_open` returns when that is over.
        """
        self._watching_tokens = asyncio.create_task(self._doors.watch_tokens())
        self._watching = asyncio.create_task(Watchdog(self.repository, self._settings.max_run_seconds).run())
        self._overseeing = asyncio.create_task(self._oversight.watch())
        if self._engine.takes_turns and self._settings.cpu_scheduling == "auto" and can_be_batch():
            share = usable_cpus() / self._settings.workers
            self._scheduling = asyncio.create_task(Scheduling(share).run())
        if self._settings.http:
            shared = self._fellows is not None
            self._http = HttpBeside(self._settings, self._engine, self._http_services, shared=shared)
        port = await self._engine.start()
        self.address = address_in_words(self._settings.host, port)
        if self._http is not None:
            self.http_address = self._http.address or self.address
            self._http.open_after(self._loaded)

    async def until_open(self) -> None:
        """Returns once HTTP is answered too. Raises what keeps it from that."""
        if self._http is not None:
            await self._http.until_open()

    async def load(self, shared: SharedState | None = None) -> Report:
        """Loads the repository, or what fellow workers share. Raises StartError when a required model does not serve.

        Without a required model a server with nothing to serve stays up, and stays not ready.
        """
        settings = self._settings
        if shared is not None:
            await load_shared(self.repository, shared)
        else:
            chosen = _is_explicit(settings) and ALL_MODELS not in settings.load_model
            await self.repository.load_all(settings.load_model if chosen else None)
            for name in _required(settings):
                if name not in self.repository.serving():
                    raise StartError(f"the required model {name!r} does not serve: {self.repository.why_not(name)}")
        self._loaded.set()
        return Report(
            address=self.address,
            http_address=self.http_address,
            models=self.repository.served_versions(),
            engine=self._engine.name,
            provider=self._provider,
            complete=self._health.is_complete,
        )

    def release(self) -> None:
        """All fellow workers are ready: from now on health says so."""
        self._health.release()

    def take_traffic(self, name: str, state: TrafficState) -> None:
        """All fellow workers have this traffic from now on."""
        self._oversight.take(name, state)

    async def poll(self) -> None:
        """Takes over what changes in the repository, until cancelled; returns at once in another mode."""
        if self._settings.model_control_mode == "poll":
            await Poller(self._settings.repository, self._control).run(self._settings.repository_poll_seconds)

    async def drain(self) -> None:
        """Says not ready; after `drain_delay` refuses new work; then finishes what was accepted, or times out."""
        self._health.drain()
        # Whoever has connected over HTTP before it was open is answered too.
        await asyncio.gather(asyncio.sleep(self._settings.drain_delay), self.until_open())
        await self._engine.send_away()
        self._gate.close()
        try:
            async with asyncio.timeout(self._settings.drain_timeout):
                await self._gate.wait_quiet()
        except TimeoutError:
            log.warning("the drain timed out unanswered=%d", self.unanswered)

    async def close(self) -> None:
        """Closes the ports, cuts what is still there and gives everything back."""
        for task in (self._watching, self._watching_tokens, self._overseeing, self._scheduling):
            if task is not None:
                task.cancel()
        await self._engine.stop(grace=0.0)
        if self._http is not None:
            await self._http.stop(HTTP_LAST_SECONDS)
        self.repository.close()
        self._decode_pool.shutdown(wait=False, cancel_futures=True)
        await self._observing.close()
        log.info("stopped")

    def _http_services(self) -> HttpServices:
        return HttpServices(
            methods=self._observing.watched(self._doors.guard_counted(self._methods)),
            repository=self.repository,
            health=self._health,
            metrics=self.metrics,
            doors=self._doors,
            settings=self._settings,
        )

    def _own_methods(self) -> MethodTable:
        settings = self._settings
        limits = ServiceLimits(
            max_images_per_request=settings.max_images_per_request,
            max_stream_in_flight=settings.max_stream_in_flight,
            expose_golden_samples=settings.expose_golden_samples,
        )
        check_admin = self._doors.check_admin
        return {
            **ClassifierService(self.repository, self._gate, limits, check_admin, self._oversight).methods(),
            **self._oversight.methods(),
            **self._health.methods(),
            **self._inference().methods(),
            **Reflection(SERVICES, [inference_pb2.DESCRIPTOR.pool]).methods(),
        }

    def _inference(self) -> GRPCInferenceService:
        settings = self._settings
        memory = SharedMemory(max_elements_bytes=settings.max_message_bytes)
        return GRPCInferenceService(
            self.repository,
            self._health,
            InferenceHandlers(self.repository, self._oversight, self._gate, memory, settings.max_stream_in_flight),
            RepositoryHandlers(self.repository, self._control, explicit=_is_explicit(settings)),
            memory,
            TraceSettings(self._observing.sampling),
        )


def _is_explicit(settings: ServerSettings) -> bool:
    return settings.model_control_mode == "explicit"


def _required(settings: ServerSettings) -> list[str]:
    """Models without which the server is not ready."""
    loaded = [name for name in settings.load_model if name != ALL_MODELS] if _is_explicit(settings) else []
    return list(dict.fromkeys([*settings.require_model, *loaded]))


def load_options(settings: ServerSettings, provider: str, decode_pool: Executor, worker: int = 0) -> LoadOptions:
    """How a worker of this server loads models; the threads that are not given come from the CPU quota."""
    cpus = usable_cpus()
    threads = settings.intra_op_threads or max(1, cpus // (settings.instance_count * settings.workers))
    log.info(
        "starting provider=%s cpus=%d workers=%d instance_count=%d intra_op_threads=%d",
        *(provider, cpus, settings.workers, settings.instance_count, threads),
    )
    return LoadOptions(
        session=SessionOptions(
            provider=provider,
            intra_op_threads=threads,
            device=device_options(settings, worker),
            custom_operators=settings.allow_custom_operators,
        ),
        instance_count=settings.instance_count,
        max_queue_size=settings.max_queue_size,
        max_queue_delay=settings.max_queue_delay / 1000,
        max_pixels=settings.max_pixels,
        image_formats=formats_of(settings.image_formats),
        graph_batch_size=settings.graph_batch_size,
        max_load_seconds=settings.max_load_seconds,
        default_timeout=settings.default_timeout / 1000,
        drain_timeout=settings.drain_timeout,
        decode_pool=decode_pool,
        spread=settings.metrics,
    )
