"""conveyor bench: how fast a server answers, and where the time goes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from conveyor_bench.settings import BenchSettings

if TYPE_CHECKING:
    from conveyor_bench.processes import OnProgress
    from conveyor_bench.processes import Progress as Counted
    from conveyor_bench.run import Result

SUMMARY = "measure a server's latency and throughput"
EXAMPLE = "conveyor bench --model mnist --rate 500 --duration 20 --json bench.json --plot bench.png"

Settings = BenchSettings


def run(settings: BenchSettings) -> int:
    """Prints the figures; 1 if no request was answered, or if answers changed under load."""
    # Needs the histogram package; help does not.
    from conveyor_bench.run import run_bench
    from conveyor_bench.table import print_result

    with _progress() as on_progress:
        result = run_bench(settings, on_progress)
    text = json.dumps(result.as_json(), indent=2) + "\n"
    if settings.json_ == Path("-"):
        sys.stdout.write(text)
        return 0 if result.report.ok else 1
    print_result(result, Console(width=None if sys.stdout.isatty() else 160))
    if settings.json_ is not None:
        settings.json_.write_text(text, encoding="utf-8")
    if settings.plot is not None:
        _plot(result, settings.plot)
    if not result.report.ok:
        sys.stderr.write("error: no request was answered, or answers changed under load: see above\n")
        return 1
    sys.stderr.write(f"next: {_next_command(result)}\n")
    return 0


def _plot(result: Result, target: Path) -> None:
    from conveyor_bench.plot import plot_percentiles, plot_throughput

    if result.sweep is None:
        plot_percentiles({"latency": result.latency}, result.title, target)
        return
    steps = result.sweep.steps
    curves = {
        "p50": [(each.rate, each.report.p50) for each in steps],
        "p99": [(each.rate, each.report.p99) for each in steps],
    }
    plot_throughput(curves, result.title, target, limit=1e3 * result.sweep.slo)


@contextmanager
def _progress() -> Iterator[OnProgress | None]:
    """Answers so far, live, on a terminal only."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("connecting and warming up", total=None)

        def show(counted: Counted) -> None:
            failed = f", {counted.failed:,} errors" if counted.failed else ""
            progress.update(task, description=f"measuring: {counted.answered:,} answers{failed} (Ctrl-C: stop here)")

        yield show


def _next_command(result: Result) -> str:
    settings = result.settings
    command = f"conveyor bench --url {settings.url} --model {settings.model}"
    if settings.protocol != "conveyor":
        command += f" --protocol {settings.protocol}"
    if settings.sweep:
        best = result.sweep.best if result.sweep is not None else None
        return f"{command} --rate {max(1, round(best.rate if best is not None else 1))} --duration 60"
    if settings.rate is None:
        return f"{command} --rate {max(1, round(0.8 * result.report.requests_per_second))}"
    return f"{command} --rate {round(1.25 * settings.rate, 1):g}"
