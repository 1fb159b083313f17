"""conveyor tune: the server's settings that carry the most on this machine within a latency limit."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from conveyor_bench.tune.settings import TuneSettings
from conveyor_client.errors import ConveyorClientError

if TYPE_CHECKING:
    from conveyor_bench.tune.candidates import Trial

SUMMARY = "find the serving settings that carry the most within a latency limit"
EXAMPLE = "conveyor tune models/mnist/1/model.onnx --slo-p99 20ms --output tuned.yaml"

Settings = TuneSettings


def run(settings: TuneSettings) -> None:
    """Prints every candidate, best first, and writes the plan. Raises ConveyorClientError when none meets the SLO."""
    # Needs the histogram package; help does not.
    from conveyor_bench.tune.plan_file import write_plan
    from conveyor_bench.tune.search import tune

    trials = tune(settings, _show if sys.stderr.isatty() else lambda trial: None)
    _print(trials, settings)
    if settings.plot is not None:
        _plot(trials, settings)
    if not trials[0].rate:
        raise ConveyorClientError(
            f"no candidate kept p99 within {1e3 * settings.slo_p99:g} ms at any rate tried; allow more with --slo-p99"
        )
    write_plan(settings.output, trials, settings.slo_p99, settings.images_per_request)
    chosen = trials[0].candidate
    sys.stdout.write(f"written to {settings.output}: {chosen.title}\n")
    sys.stderr.write(f"next: conveyor serve {chosen.model_file.parent.parent.parent} --config {settings.output}\n")


def _show(trial: Trial) -> None:
    reached = f"{trial.rate:,.0f} requests/s" if trial.sweep is not None else f"left out: {trial.problem}"
    sys.stderr.write(f"{trial.candidate.title}: {reached}\n")


def _print(trials: list[Trial], settings: TuneSettings) -> None:
    table = Table(title=f"requests/s with p99 within {1e3 * settings.slo_p99:g} ms", title_justify="left")
    files = len(settings.model) > 1
    for heading in (["model"] if files else []) + ["engine", "workers", "sessions", "threads", "delay, ms"]:
        table.add_column(heading)
    for heading in ("highest rate", "p50, ms", "p99, ms", "at most"):
        table.add_column(heading, justify="right")
    for trial in trials:
        candidate = trial.candidate
        settings_cells = [candidate.engine, *map(str, (candidate.workers, candidate.instance_count))]
        settings_cells += [str(candidate.intra_op_threads), f"{candidate.max_queue_delay:g}"]
        table.add_row(*([str(candidate.model_file)] if files else []), *settings_cells, *_figures(trial))
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def _figures(trial: Trial) -> list[str]:
    if trial.sweep is None:
        return ["did not start", "", "", ""]
    best = trial.sweep.best
    at_most = f"{trial.sweep.capacity:,.0f}"
    if best is None:
        return ["none", "", "", at_most]
    return [f"{best.rate:,.0f}", f"{best.report.p50:.2f}", f"{best.report.p99:.2f}", at_most]


def _plot(trials: list[Trial], settings: TuneSettings) -> None:
    from conveyor_bench.plot import plot_throughput

    if settings.plot is not None:
        curves = {
            trial.candidate.title: [(step.rate, step.report.p99) for step in trial.sweep.steps]
            for trial in trials
            if trial.sweep is not None
        }
        plot_throughput(curves, "p99 against rate", settings.plot, limit=1e3 * settings.slo_p99)
