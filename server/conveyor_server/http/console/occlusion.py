"""Which parts of a row an answer rests on: each is covered in turn, and the fall of the answer is what it weighed.

Arithmetic only; `explain.py` has the model run the covered copies.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from conveyor_server.batch import Rows

MIB: Final = 1024 * 1024
# Places along one side of the map; the coarse one for rows so large that the fine one would be too much work.
FINE_SIDE: Final = 14
COARSE_SIDE: Final = 7
MOST_BYTES: Final = 64 * MIB  # of all copies together
CHUNK_BYTES: Final = 8 * MIB  # of copies that are there at the same time
# What is covered at once, as a share of the row's side.
_PATCH_SHARE: Final = 0.2


@dataclass(frozen=True, kw_only=True)
class OcclusionPlan:
    """Where the patches go; all in pixels. `tops` and `lefts` are the patches' corners, which may lie outside."""

    tops: tuple[int, ...]
    lefts: tuple[int, ...]
    patch_height: int
    patch_width: int

    @property
    def copies(self) -> int:
        """Covered copies of the row."""
        return len(self.tops) * len(self.lefts)


def plan_occlusion(row: Rows) -> OcclusionPlan:
    """A plan for a row (height, width, channels), whose work is bounded whatever the row's size."""
    height, width = row.shape[:2]
    side = FINE_SIDE if FINE_SIDE * FINE_SIDE * row.nbytes <= MOST_BYTES else COARSE_SIDE
    patch_height, patch_width = (max(1, round(size * _PATCH_SHARE)) for size in (height, width))
    return OcclusionPlan(
        tops=_corners(height, min(side, height), patch_height),
        lefts=_corners(width, min(side, width), patch_width),
        patch_height=patch_height,
        patch_width=patch_width,
    )


def covered_copies(row: Rows, plan: OcclusionPlan, most_rows: int) -> Iterator[Rows]:
    """The copies in the map's order, row by row, in arrays (n, height, width, channels) with n up to `most_rows`.

    A patch has the row's own middle colour, channel by channel: on a drawing that is its background.
    """
    most = max(1, min(most_rows, CHUNK_BYTES // row.nbytes))
    colour = np.median(row, axis=(0, 1)).astype(row.dtype)
    places = [(top, left) for top in plan.tops for left in plan.lefts]
    for start in range(0, len(places), most):
        chunk = places[start : start + most]
        copies = np.repeat(row[np.newaxis], len(chunk), axis=0)
        for copy, (top, left) in zip(copies, chunk, strict=True):
            bottom, right = top + plan.patch_height, left + plan.patch_width
            copy[max(0, top) : bottom, max(0, left) : right] = colour
        yield copies


def falls(whole: float, covered: Rows, plan: OcclusionPlan) -> Rows:
    """By how much each patch lowered the answer, (places down, places across); below zero where it raised it."""
    return (whole - covered.astype(np.float64)).reshape(len(plan.tops), len(plan.lefts))


def _corners(size: int, places: int, patch: int) -> tuple[int, ...]:
    """Corners of patches whose centres stand evenly along `size` pixels."""
    return tuple(round((index + 0.5) * size / places - patch / 2) for index in range(places))
