"""The chosen plan as a file that `conveyor serve --config` reads, its evidence above it and in a file beside it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import yaml

from conveyor_bench.machine import describe_machine, describe_versions
from conveyor_bench.tune.candidates import Trial
from conveyor_bench.tune.evidence import Evidence, write_evidence


def write_plan(target: Path, trials: Sequence[Trial], slo: float, images_per_request: int = 1) -> None:
    """Writes the first trial's settings, and what it measured; `slo` in seconds."""
    chosen = trials[0]
    evidence = [
        f"Chosen by `conveyor tune` for a 99th percentile within {1e3 * slo:g} ms.",
        f"date: {datetime.now(UTC).isoformat(timespec='seconds')}",
        f"model: {chosen.candidate.model_file}",
        f"machine: {_in_words(describe_machine())}",
        f"versions: {_in_words(describe_versions())}",
        "Load and server shared this machine. Highest rates within the limit, requests/s:",
        *(f"  {_in_figures(each)}" for each in trials),
    ]
    settings = yaml.safe_dump(chosen.candidate.serve_settings, sort_keys=False)
    target.write_text("".join(f"# {line}\n" for line in evidence) + settings, encoding="utf-8")
    measured = _evidence(chosen, slo, images_per_request)
    if measured is not None:
        write_evidence(measured, target)


def _evidence(trial: Trial, slo: float, images_per_request: int) -> Evidence | None:
    best = None if trial.sweep is None else trial.sweep.best
    if best is None:
        return None
    return Evidence(
        model_file=str(trial.candidate.model_file),
        cores=int(describe_machine()["cores"]),
        images_per_request=images_per_request,
        slo_p99_ms=1e3 * slo,
        highest_rate=best.rate,
        p99_ms=best.report.p99,
        mean_queue_ms=best.report.queue.mean,
        usage=trial.usage,
    )


def _in_figures(trial: Trial) -> str:
    words = f"{trial.candidate.title} ({trial.candidate.model_file})"
    if trial.sweep is None:
        return f"{words}: did not start"
    best = trial.sweep.best
    reached = "none" if best is None else f"{best.rate:.0f}, p99 {best.report.p99:.2f} ms"
    return f"{words}: {reached}; at most {trial.sweep.capacity:.0f}"


def _in_words(values: dict[str, str | int] | dict[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())
