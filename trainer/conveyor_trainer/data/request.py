"""What is asked of a data set: which one, in which form, split how."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from conveyor_trainer.input_format import InputFormat
from conveyor_trainer.task import Task


@dataclass(frozen=True, kw_only=True)
class DataRequest:
    """`held_out` is the share of the training rows that validates; the test split does not depend on it."""

    name: str
    folder: Path | None  # of the data set's files; for `arrays`, also a file
    input_format: InputFormat
    task: Task = "classification"
    split_seed: int = 0
    held_out: float = 0.0
    skip_unreadable: bool = False
