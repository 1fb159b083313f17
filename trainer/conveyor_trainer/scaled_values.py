"""Values of any scale: the layers learn values of mean 0 and deviation 1, and the network turns them back itself."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from conveyor_trainer.normalise import value_scale
from conveyor_trainer.report import Normalisation


class ValueScale(nn.Module):
    """From values of mean 0 and deviation 1, which the layers before it can learn quickly, to the values themselves.

    Its figures are of the training values; they are kept with the weights and are not trained.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, values: int, normalisation: Normalisation | None = None) -> None:
        super().__init__()
        mean, deviation = torch.zeros(values), torch.ones(values)
        if normalisation is not None:
            mean, deviation = value_scale(normalisation)
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)

    def forward(self, x: Tensor) -> Tensor:
        """(N, K) to (N, K)."""
        return x * self.deviation + self.mean


class ScaledNetwork(nn.Module):
    """Somebody's own network for values, with their scale behind it."""

    def __init__(self, network: nn.Module, scale: ValueScale) -> None:
        super().__init__()
        self.network = network
        self.value_scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, ...) to (N, K)."""
        return cast(Tensor, self.value_scale(self.network(x)))
