"""Reads a CSV file of numbers. Its first line names the columns.

The answers are in the column named y, label, class or target, or, several a row, in those whose names begin with y_.
All other columns are the inputs, row after row of the image (H x W x C) or channel after channel of the signal (C x L).
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conveyor_trainer.data.raw_arrays import RawPart
from conveyor_trainer.errors import DataError
from conveyor_trainer.task import Task

_ANSWERS = ("y", "label", "class", "target")
_SEVERAL = "y_"
_LARGEST = float(np.finfo(np.float32).max)


def read_csv(path: Path, task: Task) -> RawPart:
    """x float32 (N, inputs); y text (N,) for classes, float32 (N, K) for values.

    Raises DataError naming file, line and column of a cell that is no number, or the columns where no answer is.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            header = [name.strip() for name in next(reader, [])]
            return _read_rows(path, header, reader, task)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"cannot read {path} as CSV: {error}") from error


def _read_rows(path: Path, header: Sequence[str], reader: Any, task: Task) -> RawPart:
    """`reader` is csv's own."""
    answers = _answer_columns(path, header)
    inputs = [column for column in range(len(header)) if column not in answers]
    x: list[NDArray[np.float32]] = []
    y: list[Any] = []
    for cells in reader:
        if not cells:
            continue
        place = f"{path} line {reader.line_num}"
        if len(cells) != len(header):
            raise DataError(f"{place} has {len(cells)} cells, the first line {len(header)}")
        x.append(_numbers(cells, inputs, header, place))
        y.append(_numbers(cells, answers, header, place) if task == "regression" else _text(cells, answers, place))
    if not x:
        raise DataError(f"{path} holds no rows below its first line")
    return RawPart(place=str(path), x=np.stack(x), y=np.stack(y) if task == "regression" else np.array(y))


def _answer_columns(path: Path, header: Sequence[str]) -> list[int]:
    single = [column for column, name in enumerate(header) if name.lower() in _ANSWERS]
    several = [column for column, name in enumerate(header) if name.lower().startswith(_SEVERAL)]
    found = single or several
    if not found or len(single) > 1 or len(found) == len(header):
        shown = ", ".join(repr(name) for name in header[:6]) + (", ..." if len(header) > 6 else "")
        raise DataError(
            f"{path} must name one column of answers {', '.join(_ANSWERS[:-1])} or {_ANSWERS[-1]} in its first line "
            f"(or several beginning with {_SEVERAL}) beside those of inputs; it names {shown or 'nothing'}"
        )
    return found


def _numbers(cells: Sequence[str], columns: Sequence[int], header: Sequence[str], place: str) -> NDArray[np.float32]:
    try:
        with np.errstate(over="ignore"):  # too large becomes infinity, which is refused below
            numbers = np.array([cells[column] for column in columns], dtype=np.float32)
    except ValueError:
        numbers = np.array([np.nan], dtype=np.float32)
    if not np.isfinite(numbers).all():
        bad = next(column for column in columns if not _is_number(cells[column]))
        raise DataError(f"{place} column {header[bad]!r}: {cells[bad]!r} is not a number that float32 can hold")
    return numbers


def _is_number(text: str) -> bool:
    try:
        return abs(float(text)) <= _LARGEST
    except ValueError:
        return False


def _text(cells: Sequence[str], columns: Sequence[int], place: str) -> str:
    if len(columns) > 1:
        raise DataError(f"{place} has {len(columns)} columns of answers, but a row has one class: name it y")
    text = cells[columns[0]].strip()
    if not text:
        raise DataError(f"{place} has an empty answer: give its class")
    return text
