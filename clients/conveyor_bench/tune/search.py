"""The search: each candidate is served for real, and the highest rate within the SLO decides."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from conveyor_bench.load import Measured
from conveyor_bench.process_usage import cpu_seconds, memory_bytes
from conveyor_bench.processes import load_processes
from conveyor_bench.server_process import ServerProcess, serving
from conveyor_bench.settings import BenchSettings
from conveyor_bench.subject import find_subject
from conveyor_bench.sweep import Sweep, find_highest_rate
from conveyor_bench.tune.candidates import Candidate, Trial, first_candidates
from conveyor_bench.tune.evidence import Usage
from conveyor_bench.tune.settings import TuneSettings
from conveyor_bench.workload import ClosedLoop, Loop, OpenLoop
from conveyor_client import ConveyorClientError

_NAME = "tuned"
_WARMUP_SECONDS = 0.5

OnTrial = Callable[[Trial], None]


def tune(settings: TuneSettings, on_trial: OnTrial) -> list[Trial]:
    """All trials, best first. Raises ConveyorClientError when no candidate could be served at all."""
    missing = [str(file) for file in settings.model if not file.is_file()]
    if missing:
        raise ConveyorClientError(f"there is no file {missing[0]}; give REPOSITORY/NAME/VERSION/model.onnx")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    candidates = first_candidates(settings.model, settings.engine, cores, settings.max_workers or cores)
    trials = _try_all(candidates, settings, on_trial)
    if all(each.sweep is None for each in trials):
        raise ConveyorClientError(f"no candidate could be served; the first: {trials[0].problem}")
    best = max(trials, key=lambda each: each.rate)
    waiting = [replace(best.candidate, max_queue_delay=delay) for delay in settings.delays]
    trials += _try_all(waiting, settings, on_trial)
    return sorted(trials, key=lambda each: -each.rate)


def _try_all(candidates: Iterable[Candidate], settings: TuneSettings, on_trial: OnTrial) -> list[Trial]:
    trials: list[Trial] = []
    unable: dict[str, str] = {}  # engines that did not start
    for candidate in candidates:
        if candidate.engine in unable:
            continue
        trial = _try(candidate, settings)
        if trial.sweep is None and not any(each.candidate.engine == candidate.engine for each in trials):
            unable[candidate.engine] = trial.problem
        trials.append(trial)
        on_trial(trial)
    return trials


def _try(candidate: Candidate, settings: TuneSettings) -> Trial:
    with tempfile.TemporaryDirectory() as folder:
        served = Path(folder, _NAME, "1", "model.onnx")
        served.parent.mkdir(parents=True)
        shutil.copyfile(candidate.model_file, served)
        try:
            with serving(Path(folder), *candidate.options) as server:
                return _measure(candidate, settings, server)
        except ConveyorClientError as error:
            return Trial(candidate=candidate, sweep=None, problem=str(error))


def _measure(candidate: Candidate, settings: TuneSettings, server: ServerProcess) -> Trial:
    bench = BenchSettings(
        url=server.address,
        model=_NAME,
        protocol=settings.protocol,
        images_per_request=settings.images_per_request,
        # The kernel spreads connections over workers: enough of them, so that each has some.
        connections=4 * candidate.workers,
    )
    busy: dict[float, float] = {}  # CPUs, by the rate that kept them busy
    with load_processes(find_subject(bench).workload, 1) as processes:

        def run(loop: Loop, duration: float) -> Measured:
            before = cpu_seconds(server.process.pid)
            measured = processes.run(loop, duration)
            after = cpu_seconds(server.process.pid)
            if isinstance(loop, OpenLoop) and before is not None and after is not None:
                busy[loop.rate] = (after - before) / measured.seconds
            return measured

        processes.run(ClosedLoop(concurrency=64), _WARMUP_SECONDS)
        sweep = find_highest_rate(
            run, OpenLoop(rate=1.0), settings.duration, settings.slo_p99, settings.images_per_request
        )
        if processes.interrupted:
            raise KeyboardInterrupt
    return Trial(candidate=candidate, sweep=sweep, usage=_usage(sweep, busy, memory_bytes(server.process.pid)))


def _usage(sweep: Sweep, busy: dict[float, float], memory: int | None) -> Usage | None:
    if sweep.best is None or sweep.best.rate not in busy or memory is None:
        return None
    return Usage(cpus=busy[sweep.best.rate], memory_bytes=memory)
