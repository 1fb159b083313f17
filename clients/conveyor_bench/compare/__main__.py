"""The whole comparison: python -m conveyor_bench.compare [--rounds N] [--seconds S] [--docs FOLDER] ...

Servers have one core, the load another where there are two. Rows take turns within each round, so that a busy minute
of the machine falls on all of them; figures are medians over the rounds, and ratios are what to read.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from conveyor_bench.compare.figures import Figures, Row, Section
from conveyor_bench.compare.generators import h2load_path, measure, run_own
from conveyor_bench.compare.models import FLOAT_MODEL, MODEL, gather_models
from conveyor_bench.compare.results import Curves, table, write_results
from conveyor_bench.compare.targets import (
    ASYNC_ECHO,
    STREAMS,
    SYNC_ECHO,
    Target,
    classify,
    classify_stream,
    cores,
    infer,
    pinned,
    single_image_targets,
    start_echoes,
    start_engine,
)
from conveyor_bench.report import histogram, make_report
from conveyor_client import ConveyorClientError

_IN_FLIGHT = (1, 64)
_CURVE_IN_FLIGHT = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_BATCH, _BATCH_IN_FLIGHT = 32, 4
_WORKERS = (1, 2, 3, 4)
_ECHOES = (SYNC_ECHO, ASYNC_ECHO)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much is measured, with what, and where it is written."""

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
            "every answer of a load of our own is compared with the first one to the same request. Read ratios: "
            "absolute figures are this machine's."
        )


def main() -> None:
    """Measures everything, prints tables as they come and writes the results."""
    plan = _parse(sys.argv[1:])
    all_cores = os.sched_getaffinity(0)
    server_core, load_core = cores()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        repository = Path(folder)
        files = dict(zip((MODEL, FLOAT_MODEL), gather_models(repository), strict=True))
        with pinned(server_core):
            addresses = _start(stack, repository, plan.engines)
            echoes = start_echoes(stack, infer(next(iter(addresses.values())), FLOAT_MODEL))
        with pinned(load_core):
            sections = [*_single_images(plan, addresses, echoes), _batches(plan, addresses, files, server_core)]
            sections.append(_streams(plan, addresses))
            curves = _curves(plan, addresses, echoes)
        with pinned(all_cores):
            sections.append(_workers(plan, repository, tuple(addresses), echoes[0]))
    write_results(plan.docs, sections, plan.method, curves)
    sys.stdout.write(f"written to {plan.docs}\n")


def _parse(arguments: Sequence[str]) -> Plan:
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--generator", choices=("auto", "h2load", "conveyor"), default="auto")
    parser.add_argument("--engine", action="append", choices=("grpcio", "envoy"), help="default: both, where able")
    parser.add_argument("--docs", type=Path, default=Path("docs/benchmarks"))
    given = parser.parse_args(arguments)
    h2load = None if given.generator == "conveyor" else h2load_path()
    if given.generator == "h2load" and h2load is None:
        parser.error("h2load is not installed; on Debian and Ubuntu: apt install nghttp2-client")
    engines = tuple(given.engine or ("grpcio", "envoy"))
    return Plan(rounds=given.rounds, seconds=given.seconds, h2load=h2load, engines=engines, docs=given.docs)


def _start(stack: ExitStack, repository: Path, engines: Sequence[str]) -> dict[str, str]:
    """Addresses by engine. Raises ConveyorClientError if none of them runs here."""
    addresses: dict[str, str] = {}
    for engine in engines:
        try:
            addresses[engine] = start_engine(stack, repository, engine)
        except ConveyorClientError as error:
            sys.stderr.write(f"without the {engine} engine: {error}\n")
    if not addresses:
        raise ConveyorClientError("no engine runs on this machine; `conveyor doctor` says why")
    return addresses


def _single_images(plan: Plan, addresses: dict[str, str], echoes: list[Target]) -> list[Section]:
    targets = [each for engine, address in addresses.items() for each in single_image_targets(engine, address)]
    sections = []
    for in_flight in _IN_FLIGHT:
        note = "Beside each other: the same request (float32) to echoes that read nothing and compute nothing."
        rows = {each.name: _measurement(plan, each, in_flight) for each in (*echoes, *targets)}
        sections.append(_take_turns(plan, f"One image a request, {in_flight} in flight", note, rows, _ECHOES))
    return sections


def _batches(plan: Plan, addresses: dict[str, str], files: dict[str, Path], server_core: set[int]) -> Section:
    """Requests of 32 images beside ONNX Runtime alone, on the same core and with the same files."""

    def alone(file: Path) -> Callable[[], Figures]:
        command = [sys.executable, "-m", "conveyor_bench.baseline", str(file), str(_BATCH), str(plan.seconds), "1"]

        def run() -> Figures:
            with pinned(server_core):
                done = subprocess.run(command, check=True, capture_output=True, text=True)
            return Figures(requests_per_second=float(done.stdout) / _BATCH)

        return run

    float32, uint8 = "ONNX Runtime alone, float32", "ONNX Runtime alone, uint8"
    rows = {float32: alone(files[FLOAT_MODEL]), uint8: alone(files[MODEL])}
    for engine, address in addresses.items():
        for name, workload in (
            ("ModelInfer, float32", infer(address, FLOAT_MODEL, _BATCH)),
            ("ModelInfer, uint8", infer(address, MODEL, _BATCH)),
            ("Classify, raw pixels", classify(address, "raw", _BATCH)),
        ):
            target = Target(name=f"{engine}: {name}", workload=workload)
            rows[target.name] = _measurement(plan, target, _BATCH_IN_FLIGHT)
    section = _take_turns(
        plan,
        f"{_BATCH} images a request, {_BATCH_IN_FLIGHT} in flight",
        "ONNX Runtime alone: one process without a server, one thread, the same core, batches of the same size.",
        rows,
        (float32, uint8),
    )
    for row in section.rows:
        row.images_per_request = _BATCH
        row.compared_with = () if row.name in (float32, uint8) else (float32 if "float32" in row.name else uint8,)
    return section


def _streams(plan: Plan, addresses: dict[str, str]) -> Section:
    targets = [Target(name=f"{each}: ClassifyStream", workload=classify_stream(addresses[each])) for each in addresses]
    rows = {each.name: _measurement(plan, each, 64) for each in targets}
    note = (
        f"Raw pixels over {STREAMS} streams, our own client; each answer checked and taken in the order of its stream."
    )
    return _take_turns(plan, "Streams, 64 images under way", note, rows, ())


def _workers(plan: Plan, repository: Path, engines: Sequence[str], echo: Target) -> Section:
    """All cores for servers and load alike, beside the echo on one core; one server at a time."""
    rows: dict[str, Callable[[], Figures]] = {echo.name: _measurement(plan, echo, 64)}
    for engine in engines:
        for workers in _WORKERS:
            rows[f"{engine}: {workers} workers"] = _with_workers(plan, repository, engine, workers)
    note = "ModelInfer, float32, 64 in flight. The echo keeps to one core; the others share all cores with the load."
    return _take_turns(plan, "All cores, 1 to 4 workers", note, rows, (echo.name,))


def _with_workers(plan: Plan, repository: Path, engine: str, workers: int) -> Callable[[], Figures]:
    def run() -> Figures:
        with ExitStack() as stack:
            address = start_engine(stack, repository, engine, "--workers", str(workers))
            return measure(infer(address, FLOAT_MODEL), 64, plan.seconds, plan.h2load)

    return run


def _curves(plan: Plan, addresses: dict[str, str], echoes: list[Target]) -> Curves:
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


def _measurement(plan: Plan, target: Target, in_flight: int) -> Callable[[], Figures]:
    return lambda: measure(target.workload, in_flight, plan.seconds, plan.h2load)


def _take_turns(
    plan: Plan, title: str, note: str, measurements: dict[str, Callable[[], Figures]], compared_with: tuple[str, ...]
) -> Section:
    rows = [Row(name=name, compared_with=() if name in compared_with else compared_with) for name in measurements]
    for _ in range(plan.rounds):
        for row in rows:
            row.rounds.append(measurements[row.name]())
    section = Section(title=title, note=note, rows=rows)
    sys.stdout.write(f"{title}\n{table(section)}\n\n")
    sys.stdout.flush()
    return section


if __name__ == "__main__":
    main()
