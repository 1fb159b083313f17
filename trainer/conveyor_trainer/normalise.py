"""From rows to what the network takes, and from what it computes to values: the figures for both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from conveyor_trainer.data.split import Rows, Split
from conveyor_trainer.report import Normalisation

_CHUNK = 1000  # rows
_MOST_ROWS = 100_000  # of more, evenly spaced ones are looked at


def measure_normalisation(train: Split) -> Normalisation:
    """Mean and deviation per channel of the rows (of pixels as in 0..1) and, for regression, of each value."""
    mean, variance = _of_pixels(train.rows) if train.rows.dtype == np.uint8 else _of_signals(train.rows)
    values = train.targets if train.has_values else np.zeros((1, 0), dtype=np.float32)
    return Normalisation(
        mean=tuple(mean),
        standard_deviation=_deviations(variance),
        scale=1 / 255 if train.rows.dtype == np.uint8 else 1.0,
        value_mean=tuple(values.mean(axis=0, dtype=np.float64).tolist()),
        value_standard_deviation=_deviations(values.var(axis=0, dtype=np.float64).tolist()),
    )


def value_scale(normalisation: Normalisation) -> tuple[Tensor, Tensor]:
    """float32 means and deviations of the values, each (K,)."""
    mean, deviation = normalisation.value_mean, normalisation.value_standard_deviation
    return torch.tensor(mean, dtype=torch.float32), torch.tensor(deviation, dtype=torch.float32)


class Normaliser:
    """Rows to float32 (N, C, ...): (row * scale - mean) / standard_deviation, images from N x H x W x C."""

    def __init__(self, normalisation: Normalisation, device: torch.device | str = "cpu") -> None:
        mean = torch.tensor(normalisation.mean, dtype=torch.float32, device=device)
        deviation = torch.tensor(normalisation.standard_deviation, dtype=torch.float32, device=device)
        self._factor = normalisation.scale / deviation
        self._offset = mean / deviation

    def __call__(self, rows: Tensor) -> Tensor:
        """One multiplication and one subtraction a value; contiguous."""
        channels_first = rows.permute(0, 3, 1, 2) if rows.ndim == 4 else rows
        values = channels_first.to(torch.float32, memory_format=torch.contiguous_format, copy=True)
        shape = (1, -1) + (1,) * (values.ndim - 2)
        return values.mul_(self._factor.view(shape)).sub_(self._offset.view(shape))


def _of_pixels(rows: Rows) -> tuple[list[float], list[float]]:
    """Exactly, from how often each of the 256 values occurs."""
    counts = np.zeros((rows.shape[-1], 256), dtype=np.int64)
    for chunk in _chunks(rows):
        for channel in range(len(counts)):
            counts[channel] += np.bincount(chunk[..., channel].reshape(-1), minlength=256)
    values = np.arange(256) / 255
    means = [float((count * values).sum() / count.sum()) for count in counts]
    variances = [
        float((count * (values - mean) ** 2).sum() / count.sum()) for count, mean in zip(counts, means, strict=True)
    ]
    return means, variances


def _of_signals(rows: Rows) -> tuple[list[float], list[float]]:
    signals = np.asarray(rows)
    means = signals.mean(axis=(0, 2), dtype=np.float64)
    return means.tolist(), signals.var(axis=(0, 2), dtype=np.float64).tolist()


def _chunks(rows: Rows) -> Iterator[NDArray[np.uint8]]:
    chosen = np.linspace(0, len(rows) - 1, min(len(rows), _MOST_ROWS)).astype(np.int64)
    for start in range(0, len(chosen), _CHUNK):
        yield rows[chosen[start : start + _CHUNK]]


def _deviations(variances: Sequence[float]) -> tuple[float, ...]:
    # An empty or one-coloured channel has no spread to divide by.
    return tuple(max(variance**0.5, 1e-6) if variance else 1.0 for variance in variances)
