"""Rows of the trainer's data sets: the test split for checks, a share of the training split for calibration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from conveyor_exporter.description import LabelledRows
from conveyor_exporter.model_input import ImageInput, ModelInput, Rows
from conveyor_exporter.precision.int8 import CALIBRATION_ROWS

if TYPE_CHECKING:
    from conveyor_trainer.data import DataSet
    from conveyor_trainer.input_format import InputFormat
    from conveyor_trainer.task import Task


def load_data(name: str, folder: Path | None, given: ModelInput, is_regression: bool) -> DataSet:
    """The data set in the form that a network takes. Raises the trainer's DataError and UnknownNameError."""
    from conveyor_trainer.data import DataRequest, load_data_set
    from conveyor_trainer.input_format import SignalFormat

    if isinstance(given, ImageInput):
        wanted: InputFormat = given.preprocessor
    else:
        wanted = SignalFormat(channels=given.channels, length=given.length)
    task: Task = "regression" if is_regression else "classification"
    return load_data_set(DataRequest(name=name, folder=folder, input_format=wanted, task=task))


def test_rows(data: DataSet) -> LabelledRows:
    """The whole test split."""
    return LabelledRows(rows=np.asarray(data.test.rows), targets=data.test.targets)


def calibration_rows(data: DataSet) -> Rows:
    """Rows of the training split from its beginning to its end, so that each class has its share."""
    count = min(CALIBRATION_ROWS, len(data.train))
    return np.asarray(data.train.rows[np.linspace(0, len(data.train) - 1, count).astype(np.int64)])
