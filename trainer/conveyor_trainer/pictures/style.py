"""How all pictures look: one palette, one size, grids of small images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from conveyor_trainer.weights import write_whole

BLUE, ORANGE, GREY = "#1f6fb4", "#d95f0e", "#8a8f98"
INK = "#22262b"


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One small image of a grid: (h, w) numbers or (h, w, 3) colours in 0..1, and what stands above it."""

    pixels: NDArray[Any]
    caption: str = ""


def new_figure(width: float, height: float) -> Figure:
    """In inches, at 110 dots each."""
    return Figure(figsize=(width, height), dpi=110, layout="constrained", facecolor="white")


def plain_axes(axes: Axes, title: str, x: str, y: str) -> Axes:
    """A frame with a title, named axes and a faint grid."""
    axes.set_title(title, fontsize=11, color=INK, loc="left")
    axes.set_xlabel(x, color=INK)
    axes.set_ylabel(y, color=INK)
    axes.grid(alpha=0.3, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def image_grid(tiles: Sequence[Tile], *, columns: int, side: float = 1.05, **options: Any) -> Figure:
    """The tiles row by row, `side` inches each; `options` go to imshow."""
    columns = min(columns, len(tiles))
    rows = ceil(len(tiles) / columns)
    above = 0.2 * (1 + max(tile.caption.count("\n") for tile in tiles)) if any(tile.caption for tile in tiles) else 0.06
    figure = new_figure(columns * (side + 0.1), rows * (side + above))
    frames = figure.subplots(rows, columns, squeeze=False).reshape(-1)
    for frame in frames:
        frame.axis("off")
    for frame, tile in zip(frames, tiles, strict=False):
        show_image(frame, tile.pixels, **options)
        frame.set_title(tile.caption, fontsize=8, color=INK, pad=3)
    return figure


def show_image(axes: Axes, pixels: NDArray[Any], **options: Any) -> None:
    """Without ticks; each pixel a sharp square."""
    axes.imshow(pixels, interpolation="nearest", **({"cmap": "gray"} | options))
    axes.set_xticks([])
    axes.set_yticks([])


def save_figure(figure: Figure, path: Path) -> None:
    """As PNG, the same bytes for the same picture. Raises RunError when the disk does not take it."""
    content = BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})
    write_whole(path, content.getvalue())


def shortened(label: str, most: int) -> str:
    """At most so many characters: long names differ at their ends, so the middle goes."""
    if len(label) <= most:
        return label
    end = (most - 1) // 2
    return f"{label[: most - 1 - end]}…{label[len(label) - end :]}"


def displayable(row: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 (H, W, C) as imshow takes it: (H, W) where there is one channel."""
    return row[..., 0] if row.shape[-1] == 1 else row
