"""From rows of pixels to what the network takes, and the figures that this needs."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from conveyor_trainer.data.split import Images
from conveyor_trainer.report import Normalisation


def measure_normalisation(images: Images) -> Normalisation:
    """Mean and standard deviation per channel of uint8 N x H x W x C images, as of pixels in 0..1."""
    channels = images.shape[-1]
    counts = [np.bincount(images[..., channel].reshape(-1), minlength=256) for channel in range(channels)]
    values = np.arange(256) / 255
    means = [float((count * values).sum() / count.sum()) for count in counts]
    variances = [
        float((count * (values - mean) ** 2).sum() / count.sum()) for count, mean in zip(counts, means, strict=True)
    ]
    # An empty or one-coloured channel has no spread to divide by.
    deviations = [max(variance**0.5, 1e-6) if variance else 1.0 for variance in variances]
    return Normalisation(mean=tuple(means), standard_deviation=tuple(deviations))


class Normaliser:
    """uint8 N x H x W x C to float32 N x C x H x W: (pixel * scale - mean) / standard_deviation."""

    def __init__(self, normalisation: Normalisation, device: torch.device | str = "cpu") -> None:
        mean = torch.tensor(normalisation.mean, dtype=torch.float32, device=device)
        deviation = torch.tensor(normalisation.standard_deviation, dtype=torch.float32, device=device)
        self._factor = (normalisation.scale / deviation).view(1, -1, 1, 1)
        self._offset = (mean / deviation).view(1, -1, 1, 1)

    def __call__(self, rows: Tensor) -> Tensor:
        """One multiplication and one subtraction a pixel; contiguous."""
        pixels = rows.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format)
        return pixels.mul_(self._factor).sub_(self._offset)
