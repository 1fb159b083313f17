"""How cost grows: with the number of models loaded, and with the number of connections."""

from __future__ import annotations

import shutil
import time
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import grpc

from conveyor_bench.compare.figures import Figures, Row, Section
from conveyor_bench.compare.generators import measure
from conveyor_bench.compare.memory import largest_process
from conveyor_bench.compare.models import FLOAT_MODEL
from conveyor_bench.compare.sections import Entry, Plan, take_turns
from conveyor_bench.compare.targets import infer, pinned
from conveyor_bench.server_process import serving

_MODELS = (1, 10, 100)
_CONNECTIONS = (1, 8, 64, 512)
_IN_FLIGHT = 64


def models(plan: Plan, file: Path, folder: Path, server_core: set[int]) -> Section:
    """Start, memory and speed with 1, 10 and 100 models loaded; one of them is asked."""
    entries = []
    for count in _MODELS:
        repository = _copies(file, folder / f"{count} models", count)
        for engine in plan.engines:
            row = Row(name=f"{engine}, {count} {'model' if count == 1 else 'models'}")
            entries.append(Entry(row=row, measure=partial(_started, plan, repository, engine, server_core)))
    note = (
        "Start: from the command to the first right answer, interpreter and imports included. Memory: resident, of the "
        "process that serves (of Envoy with Python inside)."
    )
    return take_turns(plan, "1 to 100 models loaded", note, entries)


def connections(plan: Plan, addresses: dict[str, str]) -> Section:
    """The same load over more and more connections, at least one request under way on each."""
    entries = []
    for engine, address in addresses.items():
        workload = infer(address, FLOAT_MODEL)
        for count in _CONNECTIONS:
            row = Row(name=f"{engine}, {count} {'connection' if count == 1 else 'connections'}")
            in_flight = max(_IN_FLIGHT, count)
            entries.append(
                Entry(row=row, measure=partial(measure, workload, in_flight, plan.seconds, plan.h2load, count))
            )
    note = f"ModelInfer, float32, one image, {_IN_FLIGHT} in flight (512 over 512 connections)."
    return take_turns(plan, "1 to 512 connections", note, entries)


def _copies(file: Path, repository: Path, count: int) -> Path:
    for number in range(count):
        name = FLOAT_MODEL if number == 0 else f"copy_{number}"
        target = repository / name / "1" / "model.onnx"
        target.parent.mkdir(parents=True)
        shutil.copyfile(file, target)
    return repository


def _started(plan: Plan, repository: Path, engine: str, core: set[int]) -> Figures:
    """Starts a server, waits for its first answer, puts the load on, and looks at its memory then."""
    with ExitStack() as stack:
        with pinned(core):
            began = time.perf_counter()
            process = stack.enter_context(serving(repository, "--engine", engine))
        workload = infer(process.address, FLOAT_MODEL)
        with grpc.insecure_channel(process.address) as channel:
            call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(workload.method)
            call(workload.requests[0], timeout=10)
        start = time.perf_counter() - began
        figures = measure(workload, _IN_FLIGHT, plan.seconds, plan.h2load)
        return replace(figures, start=start, memory=largest_process(process.process.pid))
