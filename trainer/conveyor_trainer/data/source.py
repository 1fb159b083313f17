"""What a data set's own module gives: rows ready for the network, in the parts that its files have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from conveyor_trainer.data.split import Split
from conveyor_trainer.errors import DataError
from conveyor_trainer.input_format import InputFormat, SignalFormat


@dataclass(frozen=True, kw_only=True)
class Source:
    """`validation` and `test` are None where the files have no such part: they are then split off `train`."""

    labels: tuple[str, ...]  # empty where the answers are values
    train: Split
    validation: Split | None = None
    test: Split | None = None
    digest: str  # "sha256:<hex>" of the contents
    keys: tuple[str, ...] | None = None  # the rows of `train` by name, where their order says nothing
    unreadable: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)


def preprocessed(images: Sequence[NDArray[np.uint8]] | NDArray[np.uint8], wanted: InputFormat) -> NDArray[np.uint8]:
    """Images, each uint8 (h, w) or (h, w, c), as rows (N, H, W, C) by the contract's one function."""
    if isinstance(wanted, SignalFormat):
        raise DataError(
            f"the architecture takes signals of {wanted.channels} x {wanted.length} (channels x length), but the data "
            "are images: choose an architecture whose input reads HxWxC"
        )
    if isinstance(images, np.ndarray):
        if images.ndim == 3:
            images = images[..., np.newaxis]
        if images.shape[1:] == wanted.row_shape:  # rows already, which convert would give back as they are
            return np.require(images, requirements=["C", "W"])  # PyTorch wants arrays that it could write to
    rows = np.empty((len(images), *wanted.row_shape), dtype=np.uint8)
    for row, image in zip(rows, images, strict=True):
        row[...] = wanted.convert(image)
    return rows
