"""Progress of training: one bar an epoch on stderr, on a terminal only, and TensorBoard events."""

from __future__ import annotations

import sys
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from conveyor_trainer.checkpoint import Position
from conveyor_trainer.events import EventWriter
from conveyor_trainer.job import Job
from conveyor_trainer.metrics import EpochMetrics


class TrainingProgress:
    """A context manager; shows nothing when `shown` is False and writes no events without a folder."""

    def __init__(self, job: Job, *, shown: bool | None = None, events: Path | None = None) -> None:
        self._events = EventWriter(events) if events else None
        self._epochs = job.config.recipe.epochs
        self._steps = job.steps_per_epoch
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not (sys.stderr.isatty() if shown is None else shown),
        )
        self._task = self._bars.add_task("", total=self._steps, figures="")

    def __enter__(self) -> TrainingProgress:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()
        if self._events:
            self._events.close()

    def step(self, position: Position) -> None:
        """Whenever the position is up to date."""
        if self._bars.disable:
            return
        # No answer is right or wrong in regression, and none is counted.
        accuracy = f"accuracy {position.correct / position.images:.4f}  " if position.correct else ""
        figures = (
            f"loss {position.loss_sum / position.images:.4f}  {accuracy}"
            f"{position.images / position.seconds:,.0f} images/s"
        )
        description = f"epoch {position.epoch + 1}/{self._epochs}"
        self._bars.update(self._task, completed=position.step, figures=figures, description=description)

    def epoch(self, metrics: EpochMetrics) -> None:
        """After every epoch: leaves a line and an event behind and starts the bar anew."""
        if self._events:
            self._events.write(metrics)
        if self._bars.disable:
            return
        held_out = (
            f"validation {_figures(metrics.validation_loss, metrics.validation_accuracy)}"
            if metrics.validation_loss is not None
            else "nothing held out"
        )
        self._bars.console.print(
            f"epoch {metrics.epoch}/{self._epochs}: {_figures(metrics.train_loss, metrics.train_accuracy)}, "
            f"{held_out}, {metrics.images_per_second:,.0f} images/s",
            highlight=False,
        )
        self._bars.reset(self._task, total=self._steps, description=f"epoch {metrics.epoch + 1}/{self._epochs}")


def _figures(loss: float, accuracy: float | None) -> str:
    return f"loss {loss:.4f}" + (f", accuracy {accuracy:.4f}" if accuracy is not None else "")
