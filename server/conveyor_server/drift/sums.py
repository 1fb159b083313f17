"""Sums over what was served, which halve with time, and what follows from them beside the training's statistics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from conveyor.v1 import classifier_pb2, model_pb2

Values = npt.NDArray[np.float64]
CONFIDENCE_BINS = 10


@dataclass(kw_only=True)
class DriftSums:
    """All weighted by how long ago they were: what is one window old counts half."""

    # Rows looked at: with their weight, and plainly counted.
    rows: float = 0.0
    # Pixels, or values of a signal, of each channel; their sum and the sum of their squares, per channel.
    elements: float = 0.0
    total: Values
    squares: Values
    # Rows per predicted class, and per bin of the highest probability.
    classes: Values
    confidences: Values

    def scaled(self, factor: float) -> DriftSums:
        """The same, weighing so much."""
        return DriftSums(
            rows=self.rows * factor,
            elements=self.elements * factor,
            total=self.total * factor,
            squares=self.squares * factor,
            classes=self.classes * factor,
            confidences=self.confidences * factor,
        )

    def plus(self, other: DriftSums) -> DriftSums:
        """Both together."""
        return DriftSums(
            rows=self.rows + other.rows,
            elements=self.elements + other.elements,
            total=self.total + other.total,
            squares=self.squares + other.squares,
            classes=self.classes + other.classes,
            confidences=self.confidences + other.confidences,
        )


def no_sums(channels: int, classes: int) -> DriftSums:
    """Before anything was served."""
    return DriftSums(
        total=np.zeros(channels),
        squares=np.zeros(channels),
        classes=np.zeros(classes),
        confidences=np.zeros(CONFIDENCE_BINS),
    )


@dataclass(frozen=True, kw_only=True)
class DriftFigures:
    """How far what is served lies from what was trained on. None where the contract does not say what it was."""

    mean_shift: Values | None
    deviation_ratio: Values | None
    class_distance: float | None
    confidence_distance: float | None


def figures_of(sums: DriftSums, trained: model_pb2.TrainingStatistics) -> DriftFigures:
    """From sums with at least one row."""
    mean = np.array(trained.input_mean, np.float64)
    deviation = np.array(trained.input_standard_deviation, np.float64)
    shift = ratio = None
    if sums.elements and len(mean) == len(deviation) == len(sums.total) and (deviation > 0).all():
        served = sums.total / sums.elements
        # Rounding may leave a little less than nothing.
        variance = np.maximum(sums.squares / sums.elements - served**2, 0.0)
        shift, ratio = (served - mean) / deviation, np.sqrt(variance) / deviation
    return DriftFigures(
        mean_shift=shift,
        deviation_ratio=ratio,
        class_distance=_distance(sums.classes, trained.class_frequencies),
        confidence_distance=_distance(sums.confidences, trained.confidence_histogram),
    )


def _distance(counts: Values, shares: Any) -> float | None:
    """Half the sum of the absolute differences of two distributions: 0 for equal ones, 1 for disjoint ones."""
    expected = np.array(shares, np.float64)
    if len(expected) != len(counts) or not counts.sum() or not expected.sum():
        return None
    return float(np.abs(counts / counts.sum() - expected / expected.sum()).sum() / 2)


def message_of(sums: DriftSums, rows: float, trained: model_pb2.TrainingStatistics) -> classifier_pb2.Drift:
    """As `GetModel` shows it; `rows` are those looked at since the version was loaded."""
    figures = figures_of(sums, trained)
    return classifier_pb2.Drift(
        rows=int(rows),
        window_rows=sums.rows,
        channel_mean_shift=() if figures.mean_shift is None else figures.mean_shift.tolist(),
        channel_deviation_ratio=() if figures.deviation_ratio is None else figures.deviation_ratio.tolist(),
        class_distance=figures.class_distance or 0.0,
        confidence_distance=figures.confidence_distance or 0.0,
    )
