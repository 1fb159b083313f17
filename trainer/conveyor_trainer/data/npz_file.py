"""Reads a .npz file: x and y, or x_train, y_train, x_val, y_val, x_test and y_test, and the classes' `labels`."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from conveyor_trainer.data.raw_arrays import RawArrays, RawPart
from conveyor_trainer.errors import DataError

_SUFFIXES = {"train": "_train", "validation": "_val", "test": "_test"}


def read_npz(path: Path) -> RawArrays:
    """Raises DataError for anything but a whole file with arrays of these names."""
    arrays = _read(path)
    if "x" in arrays:
        suffixes = {"train": ""}
    else:
        suffixes = {part: suffix for part, suffix in _SUFFIXES.items() if f"x{suffix}" in arrays}
    if "train" not in suffixes:
        found = ", ".join(arrays) or "nothing"
        raise DataError(f"{path} must hold the arrays x and y, or x_train and y_train; it holds {found}")
    parts = {part: _part(path, arrays, suffix) for part, suffix in suffixes.items()}
    return RawArrays(parts=parts, labels=tuple(map(str, arrays.get("labels", np.zeros(0)).reshape(-1))))


def _part(path: Path, arrays: dict[str, NDArray[Any]], suffix: str) -> RawPart:
    if f"y{suffix}" not in arrays:
        raise DataError(f"{path} holds x{suffix} but no y{suffix}, the answers that belong to it")
    return RawPart(place=f"{path} (x{suffix}, y{suffix})", x=arrays[f"x{suffix}"], y=arrays[f"y{suffix}"])


def _read(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with path.open("rb") as file:
            found = np.load(file, allow_pickle=False)
            if not isinstance(found, NpzFile):
                raise ValueError("it holds a single array without a name")
            return {name: found[name] for name in found.files}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path} is not a whole .npz file of numbers and texts: {reason}") from error
