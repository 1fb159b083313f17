"""One benchmark from its settings to its result."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hdrh.histogram import HdrHistogram

from conveyor_bench.baseline import Baseline, measure_baseline
from conveyor_bench.inference import Counters, InferenceServer
from conveyor_bench.machine import describe_machine, describe_versions
from conveyor_bench.processes import LoadProcesses, OnProgress, load_processes
from conveyor_bench.report import SATURATED, Report, histogram, make_report
from conveyor_bench.settings import BenchSettings
from conveyor_bench.subject import Subject, find_subject
from conveyor_bench.sweep import Sweep, find_highest_rate
from conveyor_bench.workload import ClosedLoop, OpenLoop, Workload
from conveyor_client.channel import parse_address


@dataclass(frozen=True, kw_only=True)
class Result:
    """A finished benchmark; `server_means` from the server's own counters, where only those say anything."""

    settings: BenchSettings
    subject: Subject
    report: Report
    latency: HdrHistogram
    interrupted: bool = False
    server_means: dict[str, float] | None = None
    sweep: Sweep | None = None
    baselines: tuple[Baseline, ...] = ()

    @property
    def title(self) -> str:
        """The run in a line."""
        loop = self.settings.loop
        if self.sweep is not None:
            load = f"sweep for a p99 of {1e3 * self.sweep.slo:g} ms"
        elif isinstance(loop, ClosedLoop):
            load = f"closed loop, {loop.concurrency} under way"
        else:
            load = f"open loop, {loop.rate:g} requests/s ({loop.arrivals})"
        images = self.settings.images_per_request
        per_request = "" if images == 1 else f", {images} images a request"
        where = f"{self.subject.name} version {self.subject.version} at {self.settings.url}"
        return f"{where}: {load}{per_request}{', streamed' if self.settings.stream else ''}"

    def as_json(self) -> dict[str, Any]:
        """Figures, settings, machine and versions as JSON values."""
        figures: dict[str, Any] = {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "settings": {name.rstrip("_"): value for name, value in self.settings.model_dump(mode="json").items()},
            "model": {
                "name": self.subject.name,
                "version": self.subject.version,
                "file_digest": self.subject.file_digest,
                "provider": self.subject.provider,
            },
            "machine": describe_machine(),
            "versions": describe_versions(),
            "interrupted": self.interrupted,
            "report": self.report.as_json(),
        }
        if self.server_means is not None:
            figures["server_means"] = self.server_means
        if self.sweep is not None:
            target = self.settings.target_rate
            replicas = None if target is None else self.sweep.replicas(target)
            figures["sweep"] = self.sweep.as_json() | {"target_rate": target, "replicas": replicas}
        if self.baselines:
            figures["baselines"] = [each.as_json() for each in self.baselines]
        return figures


def run_bench(settings: BenchSettings, on_progress: OnProgress | None = None) -> Result:
    """Asks the server for the model, then puts the load on it. Raises ConveyorClientError if it has none to give.

    Ctrl-C ends the measurement early; what was measured until then is the result.
    """
    subject = find_subject(settings)
    with _warm(settings, subject.workload) as processes:
        result = _measure(settings, subject, processes, on_progress)
    return result


def _measure(
    settings: BenchSettings, subject: Subject, processes: LoadProcesses, on_progress: OnProgress | None
) -> Result:
    sweep, duration, loop = None, settings.duration, settings.loop
    if settings.sweep and settings.slo_p99 is not None:
        arrivals = OpenLoop(rate=1.0, arrivals=settings.arrivals, seed=settings.seed)
        sweep = find_highest_rate(
            lambda tried, seconds: processes.run(tried, seconds, on_progress),
            arrivals,
            duration,
            settings.slo_p99,
            settings.images_per_request,
        )
        if sweep.best is not None:  # once more, so that the figures are not those that were chosen for being good
            loop = OpenLoop(rate=sweep.best.rate, arrivals=settings.arrivals, seed=settings.seed + 1)
    before = _counters(settings)
    measured = processes.run(loop, duration, on_progress)
    after = _counters(settings)
    report = make_report(measured, settings.images_per_request)
    return Result(
        settings=settings,
        subject=subject,
        report=report,
        latency=histogram(measured.recorder.latency),
        interrupted=processes.interrupted,
        server_means=after.means_since(before) if before is not None and after is not None else None,
        sweep=sweep,
        baselines=() if processes.interrupted else _baselines(settings, report),
    )


@contextmanager
def _warm(settings: BenchSettings, workload: Workload) -> Iterator[LoadProcesses]:
    """Processes that have put the load on before; without a number given, one more until none is at its limit."""
    count, most = settings.processes or 1, settings.processes or _cores_left(workload.address)
    if isinstance(settings.loop, ClosedLoop) and not settings.sweep:
        most = min(most, settings.loop.concurrency)
        count = min(count, most)
    loop = ClosedLoop(concurrency=64) if settings.sweep else settings.loop
    while True:
        with load_processes(workload, count) as processes:
            at_limit = False
            if settings.warmup:
                at_limit = processes.run(loop, settings.warmup).client_cpu > SATURATED
            if processes.interrupted:
                raise KeyboardInterrupt
            if count >= most or not at_limit:
                yield processes
                return
        count += 1


def _cores_left(address: str) -> int:
    """Processes that can run beside the server: it needs a core where it is on this machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores - parse_address(address).stays_on_this_machine)


def _counters(settings: BenchSettings) -> Counters | None:
    if settings.protocol != "inference":
        return None
    with InferenceServer(settings.url, settings.timeout) as server:
        return server.counters(settings.model, settings.version)


def _baselines(settings: BenchSettings, report: Report) -> tuple[Baseline, ...]:
    """At the size of one request, and at the size of the batches that the server made of them."""
    if not settings.baseline or settings.model_file is None:
        return ()
    sizes = sorted({settings.images_per_request, round(report.mean_batch_size) or settings.images_per_request})
    seconds = min(settings.duration, 5.0)
    return tuple(measure_baseline(settings.model_file, each, seconds, settings.baseline_threads) for each in sizes)
