"""From answers as files give them to targets: classes by name or number, or values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conveyor_trainer.data.raw_arrays import RawArrays, RawPart
from conveyor_trainer.data.split import Targets
from conveyor_trainer.errors import DataError
from conveyor_trainer.task import Task

_FOR_VALUES = "for values, let the architecture end in `dense: {units: classes}` without softmax"


def read_answers(raw: RawArrays, task: Task) -> tuple[tuple[str, ...], dict[str, Targets]]:
    """Labels (none for values) and each part's targets. Raises DataError where answers and task, labels or parts do
    not belong together."""
    if task == "regression":
        return (), _values(raw.parts)
    names = {part: _names(given) for part, given in raw.parts.items()}
    labels = raw.labels or _sorted_labels(names["train"])
    numbers = {label: number for number, label in enumerate(labels)}
    if raw.labels and raw.parts["train"].y.dtype.kind not in "US":
        # The answers are the labels' numbers.
        numbers = {str(number): number for number in range(len(labels))}
    if len(set(names["train"])) < 2:
        raise DataError(f"{raw.parts['train'].place} holds one class only: a classifier needs two or more")
    targets = {part: _classes(raw.parts[part].place, names[part], numbers, labels) for part in names}
    missing = [label for number, label in enumerate(labels) if number not in set(targets["train"].tolist())]
    if missing:
        raise DataError(
            f"{raw.parts['train'].place} holds no row of the class {missing[0]}: give some or drop its label"
        )
    return labels, targets


def _classes(place: str, names: Sequence[str], numbers: Mapping[str, int], labels: Sequence[str]) -> Targets:
    unknown = sorted(set(names) - numbers.keys())
    if unknown:
        raise DataError(
            f"{place} holds the label {unknown[0]!r}, which is none of the {len(labels)} that there are "
            f"({', '.join(labels[:5])}{', ...' if len(labels) > 5 else ''})"
        )
    return np.array([numbers[name] for name in names], dtype=np.int64)


def _names(part: RawPart) -> list[str]:
    """Each row's class as text."""
    y = part.y.reshape(len(part.y)) if part.y.shape == (len(part.y), 1) else part.y
    if y.ndim != 1:
        raise DataError(
            f"{part.place}: the answers have the shape {list(y.shape)}, but a classifier needs one class a row; "
            f"{_FOR_VALUES}"
        )
    if y.dtype.kind == "f":
        fractions = y[y != np.floor(y)]  # NaN is unequal to itself
        if len(fractions) or not np.isfinite(y).all():
            raise DataError(
                f"{part.place}: {fractions[0] if len(fractions) else 'infinity'} is no class: classes are whole "
                f"numbers or names; {_FOR_VALUES}"
            )
        y = y.astype(np.int64)
    return [str(name) for name in y.tolist()]


def _sorted_labels(names: Sequence[str]) -> tuple[str, ...]:
    """In the order of the numbers where all are whole numbers, else of the alphabet."""
    unique = set(names)
    if all(name.removeprefix("-").isdecimal() for name in unique):
        return tuple(sorted(unique, key=lambda name: (int(name), name)))
    return tuple(sorted(unique))


def _values(parts: Mapping[str, RawPart]) -> dict[str, Targets]:
    values = {name: _values_of(part) for name, part in parts.items()}
    for name, part in parts.items():
        ours, theirs = values[name].shape[1], values["train"].shape[1]
        if ours != theirs:
            raise DataError(f"{part.place} holds {ours} values a row, {parts['train'].place} {theirs}")
    return values


def _values_of(part: RawPart) -> NDArray[np.float32]:
    y: NDArray[Any] = part.y.reshape(len(part.y), -1) if part.y.ndim == 1 else part.y
    if y.dtype.kind not in "fiub" or y.ndim != 2:
        raise DataError(
            f"{part.place}: the answers are {y.dtype.name} of shape {list(part.y.shape)}, but the architecture answers "
            "with values: give numbers, N or N x K; for classes, end the architecture with softmax"
        )
    with np.errstate(over="ignore"):  # too large becomes infinity, which is refused below
        values = y.astype(np.float32)
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        raise DataError(f"{part.place}: the answer in row {row}, column {column} is no number that float32 can hold")
    return values
