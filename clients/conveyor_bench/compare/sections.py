"""What is measured beside what: each function gives one table, its rows measured in turns."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from conveyor_bench.compare.figures import Figures, Row, Section
from conveyor_bench.compare.generators import measure, run_own
from conveyor_bench.compare.memory import all_processes
from conveyor_bench.compare.models import FLOAT_MODEL, MODEL
from conveyor_bench.compare.results import Curves, table
from conveyor_bench.compare.targets import (
    ASYNC_ECHO,
    STREAMS,
    SYNC_ECHO,
    Target,
    classify,
    classify_stream,
    infer,
    pinned,
    single_image_targets,
)
from conveyor_bench.report import histogram, make_report
from conveyor_bench.server_process import serving

_IN_FLIGHT = (1, 64)
_CURVE_IN_FLIGHT = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_BATCH, _BATCH_IN_FLIGHT = 32, 4
_WORKERS = (1, 2, 3, 4, 8)
_ECHOES = (SYNC_ECHO, ASYNC_ECHO)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much is measured, with what, and where it is written; `h2load` is its path, or None for our own client."""

    rounds: int
    seconds: float
    h2load: str | None
    engines: tuple[str, ...]
    docs: Path

    @property
    def method(self) -> str:
        """How the figures were taken, for the page."""
        who = "h2load, 8 connections" if self.h2load else "`conveyor bench`'s own client, one process"
        return (
            f"Servers have one core, the load ({who}) another where there are two. The network is the demonstration's "
            f"(28x28 grey images). Medians of {self.rounds} rounds of {self.seconds:g} s in which the rows take turns; "
            "every answer to a load of our own is compared with the first one to the same request, and h2load, which "
            "looks at none, follows such a load. Read ratios: absolute figures are this machine's."
        )


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A row and how it is measured."""

    row: Row
    measure: Callable[[], Figures]


def single_images(plan: Plan, addresses: dict[str, str], echoes: list[Target]) -> list[Section]:
    """Every way to ask for one image, on every engine, beside the bare echoes."""
    targets = [each for engine, address in addresses.items() for each in single_image_targets(engine, address)]
    note = "Echoes are sent the float32 request; they read nothing, compute nothing and answer with its answer."
    return [
        take_turns(
            plan,
            f"One image a request, {in_flight} in flight",
            note,
            [_entry(plan, each, in_flight) for each in echoes]
            + [_entry(plan, each, in_flight, _ECHOES) for each in targets],
        )
        for in_flight in _IN_FLIGHT
    ]


def batches(plan: Plan, addresses: dict[str, str], files: dict[str, Path], server_core: set[int]) -> Section:
    """Requests of 32 images beside ONNX Runtime alone, on the same core and with the same files."""
    float32, uint8 = "ONNX Runtime alone, float32", "ONNX Runtime alone, uint8"
    entries = [
        Entry(row=Row(name=name, images_per_request=_BATCH), measure=alone(plan, files[model], server_core, _BATCH))
        for name, model in ((float32, FLOAT_MODEL), (uint8, MODEL))
    ]
    for engine, address in addresses.items():
        for name, workload, beside in (
            ("ModelInfer, float32", infer(address, FLOAT_MODEL, _BATCH), float32),
            ("ModelInfer, uint8", infer(address, MODEL, _BATCH), uint8),
            ("Classify, raw pixels", classify(address, "raw", _BATCH), uint8),
        ):
            target = Target(name=f"{engine}: {name}", workload=workload)
            entries.append(_entry(plan, target, _BATCH_IN_FLIGHT, (beside,), _BATCH))
    note = "ONNX Runtime alone: one process without a server, one thread, the same core, batches of the same size."
    return take_turns(plan, f"{_BATCH} images a request, {_BATCH_IN_FLIGHT} in flight", note, entries)


def streams(plan: Plan, addresses: dict[str, str]) -> Section:
    """ClassifyStream on every engine."""
    targets = [Target(name=f"{each}: ClassifyStream", workload=classify_stream(addresses[each])) for each in addresses]
    note = (
        f"Raw pixels over {STREAMS} streams, our own client; each answer checked and taken in the order of its stream."
    )
    entries = [_entry(plan, each, 64) for each in targets]
    return take_turns(plan, "Streams, 64 images under way", note, entries)


def workers(plan: Plan, repository: Path, engines: Sequence[str], echo: Target) -> Section:
    """All cores for servers and load alike, beside the echo on one core; one server at a time, and its memory."""
    entries = [_entry(plan, echo, 64)]
    for engine in engines:
        for count in _WORKERS:
            row = Row(name=f"{engine}, --workers {count}", compared_with=(echo.name,))
            entries.append(Entry(row=row, measure=_with_workers(plan, repository, engine, count)))
    note = (
        "ModelInfer, float32, 64 in flight. The echo keeps to one core; the others share all cores with the load. "
        "Memory: resident, of all the server's processes; pages that they share count for each."
    )
    return take_turns(plan, "All cores, 1 to 8 workers", note, entries)


def draw_curves(plan: Plan, addresses: dict[str, str], echoes: list[Target]) -> Curves:
    """Measured with our own client: it alone keeps whole histograms."""
    targets = [single_image_targets(engine, address)[0] for engine, address in addresses.items()]
    throughput: dict[str, list[tuple[float, float]]] = {}
    latency = {}
    for target in (*echoes, *targets):
        points = throughput.setdefault(target.name, [])
        for in_flight in _CURVE_IN_FLIGHT:
            measured = run_own(target.workload, in_flight, plan.seconds / 2)
            report = make_report(measured, 1)
            points.append((report.requests_per_second, report.p99))
            if in_flight == 64:
                latency[target.name] = histogram(measured.recorder.latency)
    return Curves(throughput=throughput, latency=latency)


def _entry(plan: Plan, target: Target, in_flight: int, compared_with: tuple[str, ...] = (), images: int = 1) -> Entry:
    return Entry(
        row=Row(name=target.name, images_per_request=images, compared_with=compared_with),
        measure=lambda: measure(target.workload, in_flight, plan.seconds, plan.h2load),
    )


def alone(plan: Plan, file: Path, core: set[int], batch: int) -> Callable[[], Figures]:
    """ONNX Runtime in a process of its own on this core, with one thread."""
    command = [sys.executable, "-m", "conveyor_bench.baseline", str(file), str(batch), str(plan.seconds), "1"]

    def run() -> Figures:
        with pinned(core):
            done = subprocess.run(command, check=True, capture_output=True, text=True)
        return Figures(requests_per_second=float(done.stdout) / batch)

    return run


def _with_workers(plan: Plan, repository: Path, engine: str, count: int) -> Callable[[], Figures]:
    def run() -> Figures:
        with ExitStack() as stack:
            server = stack.enter_context(serving(repository, "--engine", engine, "--workers", str(count)))
            figures = measure(infer(server.address, FLOAT_MODEL), 64, plan.seconds, plan.h2load)
            return replace(figures, memory=all_processes(server.process.pid))

    return run


def take_turns(plan: Plan, title: str, note: str, entries: Sequence[Entry]) -> Section:
    """Measures the rows in turns, round after round, and shows the table."""
    for _ in range(plan.rounds):
        for entry in entries:
            entry.row.rounds.append(entry.measure())
    return shown(Section(title=title, note=note, rows=[each.row for each in entries]))


def shown(section: Section) -> Section:
    """The section, once its table is printed."""
    sys.stdout.write(f"{section.title}\n{table(section)}\n\n")
    sys.stdout.flush()
    return section
