"""How far answered values lie from the right ones: mean absolute error, root mean squared error, R squared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class ValueErrors:
    """Over all rows and values. `r2` is 1 for perfect answers, 0 for always answering the mean; its mean over values
    where there are several. The others are in the values' own units."""

    mae: float
    rmse: float
    r2: float


def value_errors(answers: NDArray[Any], targets: NDArray[Any]) -> ValueErrors:
    """Of answers (N, K) to targets (N, K), N at least 1."""
    answers, targets = answers.astype(np.float64), targets.astype(np.float64)
    squared = (answers - targets) ** 2
    spread = ((targets - targets.mean(axis=0)) ** 2).sum(axis=0)
    left = squared.sum(axis=0)
    # Of a value that never varies nothing can be explained: 1 where it is met exactly, else 0.
    r2 = np.where(spread > 0, 1 - left / np.where(spread > 0, spread, 1), (left == 0).astype(np.float64))
    return ValueErrors(
        mae=float(np.abs(answers - targets).mean()), rmse=float(squared.mean() ** 0.5), r2=float(r2.mean())
    )
