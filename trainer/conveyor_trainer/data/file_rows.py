"""Rows of images that stay in their files and are decoded when they are asked for: for sets larger than memory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conveyor_contract.errors import ImageError
from conveyor_contract.preprocessing import Preprocessor
from conveyor_trainer.errors import DataError


class FileRows:
    """uint8 (N, H, W, C), by slices and arrays of indices as numpy's own; each look decodes anew, in threads."""

    def __init__(self, paths: Sequence[Path], preprocessor: Preprocessor) -> None:
        self._paths = tuple(paths)
        self._preprocessor = preprocessor

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, H, W, C)."""
        return (len(self._paths), *self._preprocessor.row_shape)

    @property
    def ndim(self) -> int:
        return 4

    @property
    def dtype(self) -> np.dtype[np.uint8]:
        return np.dtype(np.uint8)

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, chosen: slice | NDArray[np.int64]) -> NDArray[np.uint8]:
        paths = self._paths[chosen] if isinstance(chosen, slice) else [self._paths[index] for index in chosen]
        rows = np.empty((len(paths), *self._preprocessor.row_shape), dtype=np.uint8)
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as threads:
            for row, decoded in zip(rows, threads.map(self._decoded, paths), strict=True):
                row[...] = decoded
        return rows

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        rows = self[:]
        return rows if dtype is None else rows.astype(dtype)

    def only(self, indices: NDArray[np.int64]) -> FileRows:
        """The chosen files, still undecoded."""
        return FileRows([self._paths[index] for index in indices], self._preprocessor)

    def _decoded(self, path: Path) -> NDArray[np.uint8]:
        try:
            return self._preprocessor.decode(path.read_bytes())
        except (OSError, ImageError) as error:
            raise DataError(f"{path} could be read when training began, but no longer: {error}") from error
