"""The figures of each epoch, as they stand in metrics.csv."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ValidationError

from conveyor_trainer.errors import RunError


class EpochMetrics(BaseModel):
    """One line of metrics.csv. Training figures are of the steps as they went, validation of the epoch's end."""

    epoch: int  # from 1
    steps: int  # since the start of training
    train_loss: float
    train_accuracy: float | None  # None for values, as the other accuracy
    validation_loss: float | None  # None when nothing was held out
    validation_accuracy: float | None
    learning_rate: float
    seconds: float
    images_per_second: float

    def is_better_than(self, other: EpochMetrics | None) -> bool:
        """By validation accuracy, then by validation loss; the later epoch where nothing was held out."""
        if other is None or self.validation_loss is None or other.validation_loss is None:
            return True
        return self._merit > other._merit

    @property
    def _merit(self) -> tuple[float, float]:
        assert self.validation_loss is not None
        return (self.validation_accuracy or 0.0, -self.validation_loss)


def metrics_text(history: Sequence[EpochMetrics]) -> str:
    """What metrics.csv holds."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(EpochMetrics.model_fields), lineterminator="\n")
    writer.writeheader()
    writer.writerows(metrics.model_dump() for metrics in history)
    return text.getvalue()


def read_metrics(path: Path) -> list[EpochMetrics]:
    """Every epoch's line. Raises RunError."""
    try:
        lines = csv.DictReader(path.read_text(encoding="utf-8").splitlines())
        return [EpochMetrics.model_validate({key: value or None for key, value in line.items()}) for line in lines]
    except (OSError, UnicodeDecodeError, csv.Error, ValidationError) as error:
        raise RunError(f"cannot read {path}: {' '.join(str(error).split())}") from error
