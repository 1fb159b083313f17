"""`arrays`: the user's own numbers, images or signals with classes or values, in .npz or CSV files.

npz_file.py and csv_file.py say what the files hold. One file may hold everything, or a folder may hold train, val and
test as files of their own.
"""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conveyor_contract.digests import sha256
from conveyor_trainer.data.answers import read_answers
from conveyor_trainer.data.csv_file import read_csv
from conveyor_trainer.data.npz_file import read_npz
from conveyor_trainer.data.raw_arrays import RawArrays, RawPart
from conveyor_trainer.data.request import DataRequest
from conveyor_trainer.data.source import Source, preprocessed
from conveyor_trainer.data.split import Rows, Split
from conveyor_trainer.errors import DataError
from conveyor_trainer.input_format import InputFormat, SignalFormat
from conveyor_trainer.task import Task

_SUFFIXES = (".npz", ".csv")
_PART_STEMS = {"train": ("train",), "validation": ("validation", "val"), "test": ("test",)}


def load_arrays_source(request: DataRequest) -> Source:
    """From the request's file, or from the files in its folder. Raises DataError naming the file and what is wrong."""
    if request.folder is None:
        raise DataError("the arrays data set needs --data-dir: the .npz or CSV file, or the folder that holds it")
    raw = _read(request.folder, request.task)
    for part in raw.parts.values():
        _check_lengths(part)
    labels, targets = read_answers(raw, request.task)
    splits = {
        name: Split(rows=_rows(part, request.input_format), targets=targets[name]) for name, part in raw.parts.items()
    }
    return Source(
        labels=labels,
        train=splits["train"],
        validation=splits.get("validation"),
        test=splits.get("test"),
        digest=sha256(*(_bytes(array) for part in raw.parts.values() for array in (part.x, part.y))),
    )


def _read(path: Path, task: Task) -> RawArrays:
    if path.is_file():
        return _read_file(path, task)
    files = sorted(found for found in path.glob("*") if found.suffix in _SUFFIXES) if path.is_dir() else []
    parts = {part: file for part, stems in _PART_STEMS.items() for file in files if file.stem in stems}
    if "train" in parts:
        read = {part: _read_file(file, task) for part, file in parts.items()}
        return RawArrays(
            parts={part: arrays.parts["train"] for part, arrays in read.items()}, labels=read["train"].labels
        )
    if len(files) == 1:
        return _read_file(files[0], task)
    found = f"{len(files)} such files, none of them named train" if files else "none"
    raise DataError(f"expected a .npz or .csv file in {path}, or train, val and test: there is {found}")


def _read_file(path: Path, task: Task) -> RawArrays:
    if path.suffix == ".npz":
        return read_npz(path)
    if path.suffix == ".csv":
        return RawArrays(parts={"train": read_csv(path, task)})
    raise DataError(f"{path} is neither a .npz nor a .csv file")


def _check_lengths(part: RawPart) -> None:
    if not part.x.ndim or not part.y.ndim or len(part.x) != len(part.y):
        raise DataError(
            f"{part.place}: inputs of shape {list(part.x.shape)} and answers of shape {list(part.y.shape)} do not "
            "belong together: both need one entry a row"
        )
    if not len(part.x):
        raise DataError(f"{part.place} holds no rows")


def _rows(part: RawPart, wanted: InputFormat) -> Rows:
    if part.x.dtype.kind not in "fiub":
        raise DataError(f"{part.place}: the inputs are {part.x.dtype.name}; expected numbers")
    return _signals(part, wanted) if isinstance(wanted, SignalFormat) else preprocessed(_images(part, wanted), wanted)


def _signals(part: RawPart, wanted: SignalFormat) -> NDArray[np.float32]:
    x = part.x
    given = x.shape[1:]
    if x.ndim == 2 and (wanted.channels == 1 or given[0] == prod(wanted.row_shape)):
        x = x.reshape(len(x), wanted.channels, -1)
    if x.shape[1:] != wanted.row_shape:
        raise DataError(
            f"{part.place}: the signals are {_sizes(given)}, but the architecture takes {_sizes(wanted.row_shape)} "
            "(channels x length): change its input"
        )
    with np.errstate(over="ignore"):  # too large becomes infinity, which is refused below
        signals = np.ascontiguousarray(x, dtype=np.float32)
    if not np.isfinite(signals).all():
        row, channel, place = np.argwhere(~np.isfinite(signals))[0]
        raise DataError(f"{part.place}: row {row}, channel {channel}, place {place} is no number that float32 can hold")
    return signals


def _images(part: RawPart, wanted: InputFormat) -> NDArray[np.uint8]:
    """uint8 (N, h, w) or (N, h, w, c)."""
    x = part.x
    if x.ndim == 2:  # one image a line, which cannot say its height and width
        if x.shape[1] != prod(wanted.row_shape):
            raise DataError(
                f"{part.place}: a row has {x.shape[1]} numbers, but the architecture takes images of "
                f"{_sizes(wanted.row_shape)} = {prod(wanted.row_shape)} (height x width x channels): give --input-size "
                "or --colour"
            )
        x = x.reshape(len(x), *wanted.row_shape)
    if x.ndim not in (3, 4) or (x.ndim == 4 and x.shape[3] not in (1, 3)) or not x.size:
        raise DataError(
            f"{part.place}: the inputs are {_sizes(x.shape)}; expected images N x H x W or N x H x W x C, C being 1 or "
            "3, for this architecture"
        )
    low, high = x.min(), x.max()
    if x.dtype != np.uint8 and not (low >= 0 and high <= 255 and (x.dtype.kind != "f" or (x == np.rint(x)).all())):
        raise DataError(
            f"{part.place}: pixels are whole numbers of 0 to 255, but these are {x.dtype.name} from {low:.4g} to "
            f"{high:.4g}{': multiply them by 255 and round' if high <= 1 else ''}"
        )
    return x.astype(np.uint8)


def _sizes(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _bytes(array: NDArray[Any]) -> bytes:
    return f"{array.dtype.str} {array.shape}\n".encode() + np.ascontiguousarray(array).tobytes()
