"""`conveyor demo`: the main job, end to end, on real handwritten digits, with the commands that a user would type."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field, PositiveFloat, PositiveInt
from rich.console import Console
from rich.table import Column, Table

from conveyor_bench.server_process import conveyor_command, serving
from conveyor_bench.settings import BenchSettings
from conveyor_client import Classification, Client
from conveyor_contract.errors import ConveyorError
from conveyor_contract.preprocessing import encode_png

if TYPE_CHECKING:
    from conveyor_trainer.data import Split

SUMMARY = "train, export, serve and classify real digits, in a few minutes"
EXAMPLE = "conveyor demo --folder demo"
MODEL = "digits"
CONCURRENCIES = (1, 8, 64)


class Settings(BaseModel):
    """The demonstration."""

    folder: Path = Field(default=Path("demo"), description="where the run and the model repository are left")
    images: PositiveInt = Field(default=10, description="held-out images shown in the table")
    epochs: PositiveInt | None = Field(default=None, description="passes over the training images; by the recipe")
    bench_seconds: PositiveFloat = Field(default=3.0, description="seconds measured for each row of the latency table")


@dataclass(frozen=True, kw_only=True)
class Paths:
    """What the demonstration leaves behind."""

    run: Path
    repository: Path


def run(settings: Settings) -> None:
    """Every step prints its command. Raises ConveyorError when a step fails or the answers are not PyTorch's."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    paths = Paths(run=settings.folder / "run", repository=settings.folder / "models")
    _heading(console, "1. Train a CNN on real handwritten digits and export it with proof")
    _train_and_export(console, settings, paths)
    _heading(console, "2. Ask PyTorch itself about the held-out images")
    torch_accuracy = _evaluate(console, paths)
    _heading(console, "3. Serve the model and classify held-out images, sent as PNG files over gRPC")
    _show_command(console, conveyor_command("serve", paths.repository, "--port", "0"))
    split = _held_out(paths)
    with serving(paths.repository) as server:
        console.print(f"ready at {server.address}")
        with Client(server.address) as client:
            answers = _classify(console, client, split, settings.images)
        _compare(console, answers, split, torch_accuracy)
        _heading(console, "4. Measure")
        _measure(console, server.address, settings.bench_seconds)
    if server.exit_code != 0:
        raise ConveyorError(f"the server ended with exit code {server.exit_code}; expected 0 after SIGTERM")
    console.print("the server was told to stop (SIGTERM), finished its work and ended with exit code 0")
    _show_next(console, paths)


def _heading(console: Console, text: str) -> None:
    console.print(f"\n[bold]{text}[/bold]")


def _show_command(console: Console, command: Sequence[str]) -> None:
    words = ["conveyor", *command[3:]]  # `python -m conveyor_cli` as a user types it
    console.print(f"[dim]$[/dim] {shlex.join(words)}", soft_wrap=True)


def _train_and_export(console: Console, settings: Settings, paths: Paths) -> None:
    options: list[str | Path] = ["--data", "digits", "--run", paths.run, "--export", paths.repository, "--name", MODEL]
    if settings.epochs is not None:
        options += ["--epochs", str(settings.epochs)]
    if (paths.run / "report.json").exists():
        options.append("--force")  # the demonstration was run before: its run is replaced, the model gets a new version
    command = conveyor_command("train", "mnist_cnn", *options)
    _show_command(console, command)
    sys.stdout.flush()
    if subprocess.run(command, check=False).returncode != 0:
        raise ConveyorError("training or export failed; the lines above say why")


def _evaluate(console: Console, paths: Paths) -> float:
    command = conveyor_command("evaluate", paths.run, "--data", "digits", "--json")
    _show_command(console, command)
    finished = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    if finished.returncode != 0:
        raise ConveyorError("evaluation failed; the lines above say why")
    report = json.loads(finished.stdout)
    console.print(f"PyTorch: {report['accuracy']:.2%} of {report['count']} held-out images right")
    return float(report["accuracy"])


def _held_out(paths: Paths) -> Split:
    from conveyor_trainer.run import load_run

    return load_run(paths.run).load_data().test


def _classify(console: Console, client: Client, split: Split, shown: int) -> list[Classification]:
    import numpy as np

    pictures = [encode_png(row) for row in np.asarray(split.rows)]
    labels = client.model(MODEL).labels
    table = Table("image", "true label", "answer", _number("probability"), _number("time, ms"))
    for index, picture in enumerate(pictures[:shown]):
        answer = client.classify(picture, model=MODEL)
        spent = answer.timings.preprocess_us + answer.timings.queue_us + answer.timings.compute_us
        truth = labels[split.targets[index]]
        verdict = answer.label if answer.label == truth else f"{answer.label}  (wrong)"
        table.add_row(f"held out {index}", truth, verdict, f"{answer.probability:.4f}", f"{spent / 1000:.2f}")
    console.print(table)
    return list(client.stream(pictures, model=MODEL))


def _compare(console: Console, answers: list[Classification], split: Split, torch_accuracy: float) -> None:
    right = sum(answer.best.index == label for answer, label in zip(answers, split.targets, strict=True))
    accuracy = right / len(answers)
    console.print(
        f"over all {len(answers)} held-out images: {accuracy:.2%} through the server, {torch_accuracy:.2%} by PyTorch"
    )
    if accuracy != torch_accuracy:
        raise ConveyorError(
            f"the server's accuracy {accuracy:.4%} is not PyTorch's {torch_accuracy:.4%}; the model must not be used"
        )


def _measure(console: Console, address: str, seconds: float) -> None:
    from conveyor_bench.run import run_bench

    _show_command(console, conveyor_command("bench", "--url", address, "--model", MODEL, "--concurrency", "C"))
    table = Table(*map(_number, ("in flight", "requests/s", "p50, ms", "p99, ms", "mean batch")))
    for concurrency in CONCURRENCIES:
        report = run_bench(
            BenchSettings(url=address, model=MODEL, concurrency=concurrency, duration=seconds, warmup=0.5)
        ).report
        if not report.ok:
            raise ConveyorError(f"answers changed or failed under load: {report.errors}")
        values = {each.percentile: each.value for each in report.latency.percentiles}
        table.add_row(
            str(concurrency),
            f"{report.requests_per_second:,.0f}",
            f"{values[50.0]:.2f}",
            f"{values[99.0]:.2f}",
            f"{report.mean_batch_size:.1f}",
        )
    console.print(table)
    console.print("(load and server share this machine's cores; `make bench` puts a bare gRPC echo beside it)")


def _number(heading: str) -> Column:
    return Column(heading, justify="right")


def _show_next(console: Console, paths: Paths) -> None:
    newest = max(
        (int(version.name), version) for version in (paths.repository / MODEL).iterdir() if version.name.isdigit()
    )
    console.print(f"\nleft behind: the run in {paths.run}, the model in {newest[1] / 'model.onnx'}")
    console.print("try next:")
    for command in (
        f"conveyor inspect {newest[1] / 'model.onnx'}",
        "conveyor summary mnist_cnn --formulas",
        f"conveyor serve {paths.repository}",
        f"conveyor classify YOUR_DIGIT.png --model {MODEL}",
    ):
        console.print(f"  {command}", soft_wrap=True)
