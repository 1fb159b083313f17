"""Progress of training, on stderr and only on a terminal: one bar an epoch with loss, accuracy and images/s."""

from __future__ import annotations

import sys
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from conveyor_trainer.checkpoint import EpochMetrics, Position

_STEPS_BETWEEN_UPDATES = 10


class TrainingProgress:
    """A context manager; silent when `shown` is False."""

    def __init__(self, *, epochs: int, steps_per_epoch: int, shown: bool | None = None) -> None:
        self._epochs = epochs
        self._steps = steps_per_epoch
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not (sys.stderr.isatty() if shown is None else shown),
        )
        self._task = self._bars.add_task("", total=steps_per_epoch, figures="")

    def __enter__(self) -> TrainingProgress:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def step(self, position: Position) -> None:
        """After every step; draws now and then."""
        if self._bars.disable or position.step % _STEPS_BETWEEN_UPDATES:
            return
        figures = (
            f"loss {position.loss_sum / position.images:.4f}  accuracy {position.correct / position.images:.4f}  "
            f"{position.images / position.seconds:,.0f} images/s"
        )
        description = f"epoch {position.epoch + 1}/{self._epochs}"
        self._bars.update(self._task, completed=position.step, figures=figures, description=description)

    def epoch(self, metrics: EpochMetrics) -> None:
        """After every epoch: leaves a line behind and starts the bar anew."""
        if self._bars.disable:
            return
        held_out = (
            f"validation loss {metrics.validation_loss:.4f}, accuracy {metrics.validation_accuracy:.4f}"
            if metrics.validation_accuracy is not None
            else "nothing held out"
        )
        self._bars.console.print(
            f"epoch {metrics.epoch}/{self._epochs}: loss {metrics.train_loss:.4f}, "
            f"accuracy {metrics.train_accuracy:.4f}, {held_out}, {metrics.images_per_second:,.0f} images/s",
            highlight=False,
        )
        self._bars.reset(self._task, total=self._steps, description=f"epoch {metrics.epoch + 1}/{self._epochs}")
