"""What the network answers on the test images: which classes it mixes up, how far its confidence can be trusted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter, StrMethodFormatter
from numpy.typing import NDArray

from conveyor_trainer.data.split import Split
from conveyor_trainer.evaluate import Evaluation
from conveyor_trainer.pictures.style import (
    BLUE,
    GREY,
    INK,
    Tile,
    displayable,
    image_grid,
    new_figure,
    plain_axes,
    shortened,
)

_MOST_NUMBERED = 20  # classes; with more, numbers would not be readable
_MOST_MISTAKES = 24
_BINS = 10


def draw_confusion_matrix(matrix: NDArray[np.int64], labels: Sequence[str]) -> Figure:
    """Right answers in blue, by their share of the class; wrong ones in orange, by their number."""
    classes = len(labels)
    side = float(np.clip(2.2 + 0.42 * classes, 4.5, 12))
    figure = new_figure(side, side)
    axes = figure.subplots()
    diagonal = np.eye(classes, dtype=np.bool_)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    axes.imshow(np.where(diagonal, shares, np.nan), cmap="Blues", vmin=0, vmax=2.0)
    worst = max(1, int(np.where(diagonal, 0, matrix).max()))
    axes.imshow(np.where(diagonal | (matrix == 0), np.nan, matrix), cmap="Oranges", vmin=0, vmax=max(4.0, 1.8 * worst))
    if classes <= _MOST_NUMBERED:
        for (true, answered), count in np.ndenumerate(matrix):
            if count:
                axes.text(answered, true, f"{count}", ha="center", va="center", fontsize=8, color=INK)
    step = max(1, classes // 40)
    names = [shortened(label, 18) for label in labels[::step]]
    upright = max(map(len, names)) > 3
    axes.set_xticks(range(0, classes, step), names, rotation=90 if upright else 0)
    axes.set_yticks(range(0, classes, step), names)
    axes.set_xlabel("answered", color=INK)
    axes.set_ylabel("true", color=INK)
    axes.hlines(np.arange(classes - 1) + 0.5, -0.5, classes - 0.5, color="#e6e8eb", linewidth=0.5)
    axes.vlines(np.arange(classes - 1) + 0.5, -0.5, classes - 0.5, color="#e6e8eb", linewidth=0.5)
    axes.tick_params(length=0)
    axes.spines[:].set_color("#d0d4d9")
    return figure


def draw_calibration(evaluation: Evaluation, error: float) -> Figure:
    """For each tenth of confidence: the share of right answers, which would lie on the line if it could be trusted."""
    figure = new_figure(10, 4)
    reliability, histogram = figure.subplots(1, 2)
    edges = np.linspace(0, 1, _BINS + 1)
    bins = np.clip(np.digitize(evaluation.confidences, edges) - 1, 0, _BINS - 1)
    right = evaluation.predictions == evaluation.targets
    counts = np.bincount(bins, minlength=_BINS)
    shares = np.bincount(bins, weights=right, minlength=_BINS) / np.maximum(counts, 1)
    middles = (edges[:-1] + edges[1:]) / 2
    filled = counts > 0
    plain_axes(reliability, f"Calibration (expected error {error:.2%})", "confidence", "share of right answers")
    reliability.bar(middles[filled], shares[filled], width=0.092, color=BLUE, alpha=0.85)
    reliability.plot([0, 1], [0, 1], color=INK, linestyle="--", linewidth=1.2)
    plain_axes(histogram, "Confidence", "confidence", "test images")
    histogram.bar(middles, counts, width=0.092, color=BLUE, alpha=0.85)
    histogram.set_yscale("log")
    histogram.set_ylim(bottom=0.7)
    histogram.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    for axes in (reliability, histogram):
        axes.set_xlim(0, 1)
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    reliability.set_ylim(0, 1)
    reliability.yaxis.set_major_formatter(PercentFormatter(1.0))
    return figure


def draw_mistakes(evaluation: Evaluation, test: Split, labels: Sequence[str]) -> Figure | None:
    """The wrong answers that the network was surest of: true class, answered class, confidence. None without any."""
    wrong = np.flatnonzero(evaluation.predictions != evaluation.targets)
    if not len(wrong):
        return None
    truths = evaluation.probabilities[wrong, evaluation.targets[wrong]]
    worst = wrong[np.argsort(truths, kind="stable")][:_MOST_MISTAKES]
    tiles = []
    for index, row in zip(worst, test.rows[worst], strict=True):
        true, answered = labels[evaluation.targets[index]], labels[evaluation.predictions[index]]
        caption = f"{shortened(true, 9)} → {shortened(answered, 9)}\n{evaluation.confidences[index]:.0%} sure"
        tiles.append(Tile(pixels=displayable(row), caption=caption))
    return image_grid(tiles, columns=8)


def draw_values(predictions: NDArray[np.float32], targets: NDArray[np.float32]) -> Figure:
    """For each value (up to four): what was answered against what is true."""
    count = min(4, targets.shape[1])
    figure = new_figure(4.5 * count, 4.2)
    panels = figure.subplots(1, count, squeeze=False)[0]
    for index, axes in enumerate(panels):
        true, answered = targets[:, index], predictions[:, index]
        plain_axes(axes, f"Value {index + 1}" if count > 1 else "Values", "true", "answered")
        axes.scatter(true, answered, s=9, alpha=0.5, color=BLUE, linewidths=0)
        ends = [float(min(true.min(), answered.min())), float(max(true.max(), answered.max()))]
        axes.plot(ends, ends, color=GREY, linestyle=":", linewidth=1.4)
    return figure
