"""`make bench`: this machine's Conveyor beside a bare gRPC echo, measured in one run.

Servers have one core, the load another where there are two. Targets take turns within each round, so that a busy
minute of the machine falls on all of them; figures are medians over the rounds, and ratios are what to read.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import grpc
from rich.console import Console
from rich.table import Table

from conveyor_bench.load import Load
from conveyor_bench.machine import describe_machine
from conveyor_bench.payloads import Question, build_requests, noise_images
from conveyor_bench.report import Report, make_report
from conveyor_bench.server_process import conveyor_command, running, serving
from conveyor_client import Client, ConveyorClientError

_CLASSIFY = "/conveyor.v1.ClassifierService/Classify"
REPOSITORY, RUN, MODEL = Path("demo/models"), Path("demo/run"), "digits"
ROUNDS, SECONDS = 3, 2.0
CONCURRENCIES = (1, 64)
ECHO = "bare grpcio echo, threads"
ECHOES = {ECHO: "sync", "bare grpcio echo, asyncio": "asyncio"}


@dataclass(frozen=True, kw_only=True)
class Target:
    """A server to measure, by name."""

    name: str
    address: str


def main() -> None:
    """Prints the machine, then one table for each number of requests in flight."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    _ensure_model()
    console.print(", ".join(f"{name}: {value}" for name, value in describe_machine().items()), soft_wrap=True)
    server_core, load_core = _cores()
    os.sched_setaffinity(0, load_core)
    with ExitStack() as stack:
        with _pinned(server_core):
            server = stack.enter_context(serving(REPOSITORY, "--intra-op-threads", "1"))
        with Client(server.address) as client:
            model = client.model(MODEL)
        question = Question(model=MODEL, version="", top_k=1, images_per_request=1)
        requests = build_requests(noise_images(model, "raw", 0), question)
        answer = _raw_answer(server.address, requests[0]).hex()
        targets = [Target(name="Conveyor, Classify, one image", address=server.address)]
        with _pinned(server_core):
            for name, kind in ECHOES.items():
                echo = stack.enter_context(running([sys.executable, "-m", "conveyor_bench.echo", kind, answer]))
                targets.append(Target(name=name, address=echo.address))
        for concurrency in CONCURRENCIES:
            _print(console, concurrency, _measure(targets, requests, concurrency))


def _ensure_model() -> None:
    if any((REPOSITORY / MODEL).glob("*/model.onnx")):
        return
    options = ["--data", "digits", "--run", str(RUN), "--export", str(REPOSITORY), "--name", MODEL]
    if subprocess.run(conveyor_command("train", "mnist_cnn", *options), check=False).returncode != 0:
        raise ConveyorClientError("there is no model to measure; `make demo` makes one and says what is wrong")


def _cores() -> tuple[set[int], set[int]]:
    """The core of the servers, and those of the load: the same one where there is only one."""
    first, *others = sorted(os.sched_getaffinity(0))
    return {first}, set(others[:1]) or {first}


@contextmanager
def _pinned(cores: set[int]) -> Iterator[None]:
    """Threads and processes that start meanwhile keep to these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _measure(targets: list[Target], requests: list[bytes], concurrency: int) -> dict[str, list[Report]]:
    reports: dict[str, list[Report]] = {target.name: [] for target in targets}
    for _ in range(ROUNDS):
        for target in targets:
            report = asyncio.run(_load(target.address, requests, concurrency))
            if not report.ok or report.errors:
                raise ConveyorClientError(f"{target.name} failed or changed its answers under load: {report.errors}")
            reports[target.name].append(report)
    return reports


async def _load(address: str, requests: list[bytes], concurrency: int) -> Report:
    async with Load(address, requests, timeout=10.0, connections=1) as load:
        await load.closed(concurrency, SECONDS / 4)
        return make_report(await load.closed(concurrency, SECONDS), 1)


def _print(console: Console, concurrency: int, reports: dict[str, list[Report]]) -> None:
    rates = {name: median(each.requests_per_second for each in runs) for name, runs in reports.items()}
    table = Table(
        "server", "requests/s", "of the echo", "p50, ms", "p99, ms", "mean batch", title=f"{concurrency} in flight"
    )
    for name, runs in reports.items():
        table.add_row(
            name,
            f"{rates[name]:,.0f}",
            f"{rates[name] / rates[ECHO]:.2f}",
            f"{median(_percentile(each, 50.0) for each in runs):.2f}",
            f"{median(_percentile(each, 99.0) for each in runs):.2f}",
            f"{median(each.mean_batch_size for each in runs):.1f}" if name not in ECHOES else "-",
        )
    console.print(table)
    if any(each.client_saturated for runs in reports.values() for each in runs):
        console.print("the load generator used over 90 % of its core at times: servers may be faster than shown")


def _percentile(report: Report, wanted: float) -> float:
    return next(each.value for each in report.latency.percentiles if each.percentile == wanted)


def _raw_answer(address: str, request: bytes) -> bytes:
    with grpc.insecure_channel(address) as channel:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
            "/conveyor.v1.ClassifierService/Classify"
        )
        return call(request, timeout=10)


if __name__ == "__main__":
    main()
