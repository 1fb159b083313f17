"""The running average of a network's weights."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class WeightAverage:
    """A copy of the network that follows it. What cannot be averaged is copied: whole numbers, such as indices, which
    a mean would make wrong ones, and infinities, as in masks, whose mean is no number."""

    def __init__(self, module: nn.Module) -> None:
        self.module = copy.deepcopy(module)
        self._averaged = [_has_a_mean(tensor) for tensor in _tensors(self.module)]

    @torch.no_grad()
    def follow(self, module: nn.Module, decay: float) -> None:
        """Keeps `decay` of the average and takes the rest from the network; 0 takes all of it."""
        ours, theirs = [], []
        for kept, present, averaged in zip(_tensors(self.module), _tensors(module), self._averaged, strict=True):
            if averaged:
                ours.append(kept)
                theirs.append(present)
            else:
                kept.copy_(present)
        torch._foreach_lerp_(ours, theirs, 1 - decay)


def _tensors(module: nn.Module) -> list[Tensor]:
    return [*(parameter.detach() for parameter in module.parameters()), *module.buffers()]


def _has_a_mean(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and bool(tensor.isfinite().all())
