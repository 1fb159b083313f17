"""A load spread over several processes, so that one interpreter is not what limits it."""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from conveyor_bench.load import Load, Measured
from conveyor_bench.recorder import Recorder
from conveyor_bench.workload import Loop, Workload
from conveyor_client import ConveyorClientError

_PROGRESS_SECONDS = 0.25
_STOP_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a process is told to do; without it, None ends the process and STOP ends the run early."""

    loop: Loop
    duration: float


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Answers and errors of one process since the run began."""

    answered: int
    failed: int


OnProgress = Callable[[Progress], None]
_STOP, _READY = "stop", "ready"


class LoadProcesses:
    """Processes that are connected and wait for runs; see `load_processes`."""

    def __init__(self, pipes: list[Connection[Any, Any]]) -> None:
        self._pipes = pipes
        self.interrupted = False
        self._collect(None)  # each says that it is ready, or why not

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._pipes)

    def run(self, loop: Loop, duration: float, on_progress: OnProgress | None = None) -> Measured:
        """Runs each one's share at the same time and adds up. Ctrl-C ends it early and sets `interrupted`."""
        for number, pipe in enumerate(self._pipes):
            pipe.send(Run(loop=loop.share(number, self.count), duration=duration))
        results = self._collect(on_progress)
        recorder = Recorder()
        for each in results:
            recorder.add(each.recorder)
        return Measured(
            recorder=recorder,
            seconds=max(each.seconds for each in results),
            client_cpu=max(each.client_cpu for each in results),
            processes=self.count,
        )

    def _collect(self, on_progress: OnProgress | None) -> list[Any]:
        """One result from each. Raises what a process raised."""
        results: dict[Connection[Any, Any], Any] = {}
        progress: dict[Connection[Any, Any], Progress] = {}
        while len(results) < self.count:
            for pipe in self._heard([each for each in self._pipes if each not in results]):
                said = _receive(pipe)
                if isinstance(said, Progress):
                    progress[pipe] = said
                    if on_progress is not None:
                        on_progress(_sum(progress.values()))
                elif isinstance(said, Exception):
                    raise said
                else:
                    results[pipe] = said
        return list(results.values())

    def _heard(self, pipes: list[Connection[Any, Any]]) -> list[Connection[Any, Any]]:
        try:
            return [each for each in wait(pipes) if isinstance(each, multiprocessing.connection.Connection)]
        except KeyboardInterrupt:
            if self.interrupted:  # the second time: now
                raise
            self.interrupted = True
            for pipe in pipes:
                pipe.send(_STOP)
            return []


@contextmanager
def load_processes(workload: Workload, count: int) -> Iterator[LoadProcesses]:
    """Starts `count` processes with connections of their own. Raises ConveyorClientError when they find no server."""
    context = multiprocessing.get_context("spawn")  # not forked: the caller may have threads
    pipes: list[Connection[Any, Any]] = []
    processes: list[SpawnProcess] = []
    try:
        for _ in range(count):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs, workload), daemon=True)
            process.start()
            theirs.close()
            pipes.append(ours)
            processes.append(process)
        yield LoadProcesses(pipes)
    finally:
        for pipe in pipes:
            pipe.close()  # the process ends when it hears no more
        for process in processes:
            process.join(_STOP_SECONDS)
            if process.is_alive():
                process.kill()
                process.join()


def _receive(pipe: Connection[Any, Any]) -> Any:
    try:
        return pipe.recv()
    except EOFError:
        raise ConveyorClientError("a process of the load ended early; see what it wrote above") from None


def _sum(parts: Any) -> Progress:
    counted = list(parts)
    return Progress(answered=sum(each.answered for each in counted), failed=sum(each.failed for each in counted))


def _work(pipe: Connection[Any, Any], workload: Workload) -> None:
    """One process: everything that `LoadProcesses` is told arrives and leaves through the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent says when to stop
    with suppress(BrokenPipeError):
        try:
            run_event_loop(_serve(pipe, workload))
        except ConveyorClientError as error:
            pipe.send(error)


def run_event_loop(work: Any) -> Any:
    """asyncio.run, with uvloop where it is installed."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(work)
    return uvloop.run(work)


async def _serve(pipe: Connection[Any, Any], workload: Workload) -> None:
    orders: asyncio.Queue[Run | None] = asyncio.Queue()
    async with Load(workload) as load:
        events = asyncio.get_running_loop()

        def hear() -> None:
            try:
                said = pipe.recv()
            except EOFError:
                events.remove_reader(pipe.fileno())
                load.stop()
                orders.put_nowait(None)
                return
            if said == _STOP:
                load.stop()
            else:
                orders.put_nowait(said)

        events.add_reader(pipe.fileno(), hear)
        pipe.send(_READY)
        while (order := await orders.get()) is not None:
            reporting = asyncio.create_task(_report(pipe, load))
            try:
                measured = await load.run(order.loop, order.duration)
            finally:
                reporting.cancel()
            pipe.send(measured)


async def _report(pipe: Connection[Any, Any], load: Load) -> None:
    while True:
        await asyncio.sleep(_PROGRESS_SECONDS)
        recorder = load.recorder
        pipe.send(Progress(answered=recorder.answered, failed=sum(recorder.errors.values())))
