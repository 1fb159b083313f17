"""Who puts the load on: h2load where it is installed, else our own client. Ours checks answers, h2load does not."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

from conveyor_bench.compare.figures import Figures
from conveyor_bench.http2 import message
from conveyor_bench.load import Measured
from conveyor_bench.processes import load_processes
from conveyor_bench.report import make_report
from conveyor_bench.workload import CLASSIFY_STREAM, ClosedLoop, OpenLoop, Workload
from conveyor_client import ConveyorClientError

_WARMUP_SECONDS = 0.5
_CHECK_SECONDS = 0.3
_CONNECTIONS = 8
# How a server says that it has more to do than it can.
_REFUSALS = {"UNAVAILABLE", "RESOURCE_EXHAUSTED"}
_RATE = re.compile(r"finished in [^,]*, ([\d.]+) req/s")
_COUNTS = re.compile(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout")


def h2load_path() -> str | None:
    """Where h2load is, if it is installed."""
    return shutil.which("h2load")


def run_own(workload: Workload, concurrency: int, seconds: float, connections: int = _CONNECTIONS) -> Measured:
    """A closed loop from one process of ours. Raises ConveyorClientError for a wrong or missing answer."""
    connections = min(connections, concurrency)
    with load_processes(replace(workload, connections=connections), 1) as processes:
        processes.run(ClosedLoop(concurrency=concurrency), _WARMUP_SECONDS)
        measured = processes.run(ClosedLoop(concurrency=concurrency), seconds)
    recorder = measured.recorder
    if recorder.errors or recorder.changed_answers or not recorder.answered:
        raise ConveyorClientError(
            f"{workload.method} at {workload.address} failed or changed its answers under load: "
            f"{dict(recorder.errors)}, {recorder.changed_answers} changed"
        )
    return measured


def run_overload(workload: Workload, rate: float, seconds: float) -> Figures:
    """An open loop at this rate, of which some requests are refused: the figures of those that are answered."""
    with load_processes(replace(workload, connections=_CONNECTIONS), 1) as processes:
        measured = processes.run(OpenLoop(rate=rate, arrivals="constant"), seconds)
    recorder = measured.recorder
    if recorder.changed_answers or set(recorder.errors) - _REFUSALS:
        raise ConveyorClientError(f"under overload: {dict(recorder.errors)}, {recorder.changed_answers} changed")
    return _figures(measured)


def measure(
    workload: Workload, concurrency: int, seconds: float, h2load: str | None, connections: int = _CONNECTIONS
) -> Figures:
    """One measurement; with h2load, answers are checked by a short load of ours before."""
    if h2load is None or workload.method == CLASSIFY_STREAM:
        return _figures(run_own(workload, concurrency, seconds, connections))
    run_own(workload, concurrency, _CHECK_SECONDS, connections)
    return _run_h2load(h2load, workload, concurrency, seconds, connections)


def _figures(measured: Measured) -> Figures:
    report = make_report(measured, 1)
    return Figures(
        requests_per_second=report.requests_per_second,
        p50=report.p50,
        p99=report.p99,
        client_limited=report.client_saturated,
    )


def _run_h2load(h2load: str, workload: Workload, concurrency: int, seconds: float, connections: int) -> Figures:
    connections = min(connections, concurrency)
    with tempfile.TemporaryDirectory() as folder:
        body, log = Path(folder, "body"), Path(folder, "log")
        body.write_bytes(message(workload.requests[0]))
        command = [h2load, f"--duration={_ms(seconds)}", f"--warm-up-time={_ms(_WARMUP_SECONDS)}"]
        command += [
            f"--clients={connections}",
            f"--max-concurrent-streams={concurrency // connections}",
            f"--data={body}",
            f"--log-file={log}",
        ]
        command += ["--header=content-type: application/grpc", "--header=te: trailers"]
        command.append(f"http://{workload.address}{workload.method}")
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        rate, counts = _RATE.search(done.stdout), _COUNTS.search(done.stdout)
        if rate is None or counts is None or any(int(each) for each in counts.groups()[1:]):
            raise ConveyorClientError(f"h2load failed at {workload.address}: {(done.stdout + done.stderr)[-400:]}")
        times = sorted(int(line.split("\t")[2]) for line in log.read_text().splitlines())
    return Figures(requests_per_second=float(rate[1]), p50=_percentile(times, 0.5), p99=_percentile(times, 0.99))


def _ms(seconds: float) -> str:
    return f"{round(1000 * seconds)}ms"


def _percentile(microseconds: list[int], share: float) -> float | None:
    if not microseconds:
        return None
    return microseconds[max(0, math.ceil(share * len(microseconds)) - 1)] / 1000
