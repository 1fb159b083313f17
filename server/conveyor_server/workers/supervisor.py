"""Keeps the workers alive: starts each, starts it again when it dies, and stops all of them in order."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from conveyor_contract.errors import ConveyorError
from conveyor_server.errors import ServingError, StartError
from conveyor_server.listening import HTTP_ADVICE, Listening, grpc_listening, hold_port, is_one_port
from conveyor_server.polling import Poller
from conveyor_server.settings import ServerSettings
from conveyor_server.signals import StopRequests
from conveyor_server.traffic.guard import Guard
from conveyor_server.traffic.memory import memory_of
from conveyor_server.workers.coordinator import Coordinator
from conveyor_server.workers.link import Body, Kind, Link, Message
from conveyor_server.workers.pulse import until_silent
from conveyor_server.workers.settings_text import text_of_settings
from conveyor_server.workers.start import Report, announce

log = logging.getLogger(__name__)

# Seconds before a worker is started again: the first time, and at most.
FIRST_DELAY: Final = 0.1
MAX_DELAY: Final = 10.0
# A worker that served for so many seconds starts over with the first delay.
GOOD_LIFE: Final = 30.0
# Deaths in a row, before it ever served, after which the server gives up, if no other worker serves.
MAX_STILLBIRTHS: Final = 3
# Seconds for a worker that was told twice to stop.
LAST_SECONDS: Final = 5.0
# Seconds for Python to begin in a worker's process; one that hangs before would hear nothing, not even a stop.
BEGIN_SECONDS: Final = 60.0


class WorkerProcess(Protocol):
    """A running worker."""

    link: Link

    async def flush(self) -> None:
        """Waits until its last answers have left it; it has ended its work in order."""

    async def end(self) -> int:
        """Ends it within seconds; returns its exit code."""

    def kill(self) -> None:
        """At once."""


class Launcher(Protocol):
    """Starts workers of one kind."""

    async def start(self, listening: Listening) -> WorkerProcess:
        """One more. Raises ConveyorError when none of this kind can run here."""

    def stillborn(self, how: str) -> ConveyorError:
        """What is raised when the first worker dies before Python runs in it."""


async def supervise(settings: ServerSettings, launcher: Launcher, stop: StopRequests) -> int:
    """A whole server's life; returns the exit code, 0 when every accepted request was answered.

    Raises ConveyorError when the server cannot start, or cannot be kept alive.
    """
    with ExitStack() as ports:
        port = ports.enter_context(hold_port(settings.host, settings.port)).getsockname()[1]
        http_port = settings.http_port
        if settings.http and not is_one_port(settings):
            held = ports.enter_context(hold_port(settings.http_host or settings.host, http_port, HTTP_ADVICE))
            http_port = held.getsockname()[1]
        known = settings.model_copy(update={"port": port, "http_port": http_port})
        listening = grpc_listening(known, shared=True)
        return await Supervisor(known, launcher, listening, stop).run()


@dataclass(kw_only=True)
class _Life:
    """What is known of one worker's life."""

    # Set once Python runs in it.
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    ready_at: float | None = None
    # Why it could not start, or was ended.
    reason: str = ""
    # Once it has ended in order.
    exit_code: int | None = None


class Supervisor:
    """All workers of a server."""

    def __init__(self, settings: ServerSettings, launcher: Launcher, listening: Listening, stop: StopRequests) -> None:
        self._settings = settings
        self._launcher = launcher
        self._listening = listening
        self._stop = stop
        self._coordinator = Coordinator(memory_of(settings, decides=True))
        self._poller = Poller(settings.repository, self._coordinator)
        self._ready: dict[Link, Report] = {}
        # Set once all were ready.
        self._complete = asyncio.Event()
        self._any_alive = False

    async def run(self) -> int:
        """Returns when all have ended in order."""
        tasks = [asyncio.create_task(self._keep(number)) for number in range(self._settings.workers)]
        polling = asyncio.create_task(self._poll())
        guard = asyncio.create_task(Guard(self._coordinator, lambda: self._coordinator.traffic).run())
        try:
            codes = await asyncio.gather(*tasks)
        finally:
            polling.cancel()
            guard.cancel()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return max(codes)

    async def _poll(self) -> None:
        if self._settings.model_control_mode == "poll":
            # A load before would keep those waiting that have not joined yet.
            await self._complete.wait()
            await self._poller.run(self._settings.repository_poll_seconds)

    async def _keep(self, number: int) -> int:
        """One worker after the other, until the server is told to stop."""
        failures = 0
        while True:
            life, code = await self._live_once(number)
            if self._stop.first.is_set():
                return 1 if life.exit_code is None else life.exit_code
            how = life.reason.rstrip(".") or f"exit code {code}"
            if not life.begun.is_set() and not self._any_alive:
                raise self._launcher.stillborn(how)
            if life.reason and not self._complete.is_set():
                raise StartError(life.reason)
            served = life.ready_at is not None and time.monotonic() - life.ready_at > GOOD_LIFE
            failures = 0 if served else failures + 1
            if life.ready_at is None and failures >= MAX_STILLBIRTHS and not (self._complete.is_set() and self._ready):
                raise StartError(f"worker {number} ended {failures} times before it served ({how}); the log says more.")
            delay = delay_after(failures)
            log.error("worker %d ended unexpectedly (%s); another takes its place in %.1f s", number, how, delay)
            self._coordinator.workers.restarts += 1
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.first.wait(), delay)
                return 0

    async def _live_once(self, number: int) -> tuple[_Life, int | None]:
        """One worker from its start to its end, and its exit code; None where it could not even be started."""
        life, over = _Life(), asyncio.Event()
        process = await self._start(life)
        if process is None:
            return life, None
        link = process.link

        async def handle(message: Message) -> Body:
            return await self._handle(link, life, over, message)

        reader = asyncio.create_task(link.run(handle))
        reader.add_done_callback(lambda _: over.set())
        stopper = asyncio.create_task(self._pass_stops_on(process, life))
        watching = asyncio.create_task(_watch(process, life, self._settings.max_worker_silence_seconds))
        try:
            settings_text = text_of_settings(self._settings)
            await self._coordinator.join(link, number, settings_text, late=self._complete.is_set())
            await over.wait()
            if life.exit_code is not None:
                await process.flush()
        except ServingError as error:
            # What it would have to be told is too long.
            life.reason = str(error)
        finally:
            stopper.cancel()
            watching.cancel()
            self._ready.pop(link, None)
            self._coordinator.leave(link)
            code = await process.end()
            reader.cancel()
        return life, code

    async def _start(self, life: _Life) -> WorkerProcess | None:
        """A server that serves does not end because there is no memory, or no space, for one more process just now."""
        try:
            return await self._launcher.start(self._listening)
        except OSError as error:
            life.reason = f"a worker cannot be started ({error.strerror or error})."
        except ConveyorError as error:
            life.reason = str(error)
            if not self._complete.is_set():
                raise
        if not self._complete.is_set():
            raise StartError(life.reason)
        return None

    async def _handle(self, link: Link, life: _Life, over: asyncio.Event, message: Message) -> Body:
        """What the worker tells of its life; all else is for the coordinator."""
        body = message.body
        match message.kind:
            case Kind.ALIVE:
                life.begun.set()
                self._any_alive = True
            case Kind.READY:
                life.ready_at = time.monotonic()
                self._note_ready(link, Report(**body))
            case Kind.FAILED:
                life.reason = body["reason"]
                over.set()
            case Kind.ENDED:
                life.exit_code = body["exit_code"]
                over.set()
            case _:
                return await self._coordinator.handle(message)
        return {}

    def _note_ready(self, link: Link, report: Report) -> None:
        if not self._ready:
            # The first one, or the only one again.
            self._poller.forget()
        self._ready[link] = report
        self._coordinator.note_ready(link, report.models)
        if self._complete.is_set():
            link.tell(Kind.GO)
            log.info("another worker serves in its place serving=%d of=%d", len(self._ready), self._settings.workers)
        elif len(self._ready) == self._settings.workers:
            self._complete.set()
            for each in self._ready:
                each.tell(Kind.GO)
            announce(replace(report, complete=all(each.complete for each in self._ready.values())), self._settings)

    async def _pass_stops_on(self, process: WorkerProcess, life: _Life) -> None:
        await self._stop.first.wait()
        process.link.tell(Kind.STOP)
        await _kill_unless_begun(process, life, LAST_SECONDS)
        await self._stop.second.wait()
        process.link.tell(Kind.STOP)
        await asyncio.sleep(LAST_SECONDS)
        process.kill()


def delay_after(failures: int) -> float:
    """Seconds before the next try. The exponent is bounded: there may be any number of failures."""
    return min(MAX_DELAY, FIRST_DELAY * 2.0 ** min(failures, 16))


async def _watch(process: WorkerProcess, life: _Life, seconds: float) -> None:
    """Kills a worker that hangs: nobody but its parent would ever notice, and it would hear no stop."""
    await _kill_unless_begun(process, life, BEGIN_SECONDS)
    await until_silent(process.link, seconds)
    life.reason = f"it answered nothing for {seconds:g} seconds"
    process.kill()


async def _kill_unless_begun(process: WorkerProcess, life: _Life, seconds: float) -> None:
    try:
        await asyncio.wait_for(life.begun.wait(), seconds)
    except TimeoutError:
        life.reason = f"Python did not begin in it within {seconds:g} seconds"
        process.kill()
