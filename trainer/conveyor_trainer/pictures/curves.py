"""How training went: loss, accuracy and learning rate, epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from conveyor_trainer.metrics import EpochMetrics
from conveyor_trainer.pictures.style import BLUE, GREY, ORANGE, new_figure, plain_axes


def draw_curves(history: Sequence[EpochMetrics], best_epoch: int) -> Figure:
    """Two panels, or one where no accuracy was counted; the epoch that was kept is marked."""
    has_accuracy = history[0].train_accuracy is not None
    figure = new_figure(10 if has_accuracy else 6, 4)
    panels = figure.subplots(1, 2 if has_accuracy else 1, squeeze=False)[0]
    epochs = [metrics.epoch for metrics in history]
    _panel(panels[0], "Loss", "loss", epochs, best_epoch)
    _line(panels[0], epochs, [metrics.train_loss for metrics in history], "training", BLUE)
    _line(panels[0], epochs, [metrics.validation_loss for metrics in history], "validation", ORANGE)
    if has_accuracy:
        _panel(panels[1], "Accuracy", "share of right answers", epochs, best_epoch)
        _line(panels[1], epochs, [metrics.train_accuracy for metrics in history], "training", BLUE)
        _line(panels[1], epochs, [metrics.validation_accuracy for metrics in history], "validation", ORANGE)
        panels[1].yaxis.set_major_formatter(PercentFormatter(1.0))
    for panel in panels:
        panel.legend(frameon=False)
    return figure


def _panel(axes: Axes, title: str, y: str, epochs: Sequence[int], best_epoch: int) -> None:
    plain_axes(axes, title, "epoch", y)
    axes.set_xlim(0.7, epochs[-1] + 0.3)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.axvline(best_epoch, color=GREY, linestyle=":", linewidth=1.2, label="kept")


def _line(axes: Axes, epochs: Sequence[int], values: Sequence[float | None], label: str, colour: str) -> None:
    known = [(epoch, value) for epoch, value in zip(epochs, values, strict=True) if value is not None]
    if known:
        axes.plot(*zip(*known, strict=True), color=colour, marker="o", markersize=4, linewidth=1.8, label=label)
