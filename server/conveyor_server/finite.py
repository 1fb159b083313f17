"""Which rows can be added up: one value that is no finite number would spoil a sum for ever."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from conveyor_server.batch import Rows


def are_finite(rows: Rows) -> npt.NDArray[np.bool_]:
    """For each row whether all its values are finite, in the range of FP32, so that their squares are too."""
    flat: npt.NDArray[Any] = rows.reshape(len(rows), -1)
    if flat.dtype.kind != "f":
        return np.ones(len(rows), np.bool_)
    with np.errstate(over="ignore"):
        return np.asarray(np.isfinite(flat.astype(np.float32, copy=False)).all(axis=1))
