"""A data set's numbers as its files give them, before their meaning is looked into."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

PARTS = ("train", "validation", "test")


@dataclass(frozen=True, kw_only=True)
class RawPart:
    """x (N, ...) and the answers y, (N,) or (N, K), of any type; `place` names them in errors."""

    place: str
    x: NDArray[Any]
    y: NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class RawArrays:
    """By part, `train` always among them. `labels` are empty where the files name none."""

    parts: dict[str, RawPart]
    labels: tuple[str, ...] = ()
