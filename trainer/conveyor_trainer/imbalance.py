"""Classes of unequal size: what evens them out, by their weight in the loss or by how often their rows are drawn."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from conveyor_trainer.data.split import Split
from conveyor_trainer.recipe import Recipe


def class_weights(train: Split, classes: int) -> Tensor:
    """float32 (classes,): one over a class's share, so that the rows weigh 1 on average; 0 for a class without rows."""
    counts = np.bincount(train.targets, minlength=classes)
    weights = np.divide(len(train), np.count_nonzero(counts) * counts, out=np.zeros(classes), where=counts > 0)
    return torch.from_numpy(weights.astype(np.float32))


def epoch_order(train: Split, recipe: Recipe, passes: int, generator: torch.Generator) -> Tensor:
    """The indices of an epoch's rows: every row `passes` times, or drawn so that all classes come as often."""
    if recipe.imbalance == "sampler" and not train.has_values:
        weights = class_weights(train, int(train.targets.max()) + 1)[torch.from_numpy(train.targets)]
        return torch.multinomial(weights, passes * len(train), replacement=True, generator=generator)
    return torch.cat([torch.randperm(len(train), generator=generator) for _ in range(passes)])
