"""The IDX format of the MNIST files, plain or gzipped: a magic number, the sizes, then bytes."""

from __future__ import annotations

import gzip
import zlib
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from conveyor_trainer.errors import DataError

_UNSIGNED_BYTE = 0x08


def find_idx(folder: Path, name: str) -> Path:
    """`name` or `name`.gz inside `folder`. Raises DataError naming both."""
    for candidate in (folder / name, folder / f"{name}.gz"):
        if candidate.is_file():
            return candidate
    raise DataError(f"there is no {name} or {name}.gz in {folder}: check --data-dir")


def read_idx(path: Path, *, axes: int) -> tuple[NDArray[np.uint8], bytes]:
    """The array and the file's unpacked bytes. Raises DataError for anything but a whole IDX file of so many axes."""
    content = _unpacked(path)
    head = 4 + 4 * axes
    if len(content) < head or content[:2] != b"\0\0" or content[2] != _UNSIGNED_BYTE or content[3] != axes:
        raise DataError(f"{path} is not an IDX file of unsigned bytes with {axes} axes: it starts with {content[:4]!r}")
    shape = tuple(int.from_bytes(content[4 + 4 * axis : 8 + 4 * axis], "big") for axis in range(axes))
    if len(content) != head + prod(shape):
        raise DataError(
            f"{path} is truncated or damaged: its head promises {prod(shape)} bytes of data, "
            f"{len(content) - head} are there; get the file again"
        )
    return np.frombuffer(content, dtype=np.uint8, offset=head).reshape(shape), content


def _unpacked(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is truncated or damaged: {error}; get the file again") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error}") from error
