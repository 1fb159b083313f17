"""What is made small: cross-entropy for classes, squared error for values."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  # its usual name

from conveyor_trainer.imbalance import class_weights
from conveyor_trainer.job import Job
from conveyor_trainer.normalise import value_scale
from conveyor_trainer.recipe import Recipe


class Objective:
    """Compares the network's answers with targets: logits N x classes with int64 N, or values N x K with N x K."""

    def __init__(self, job: Job, device: torch.device) -> None:
        recipe, data = job.config.recipe, job.data
        self._is_classification = job.architecture.task == "classification"
        self._smoothing = recipe.label_smoothing
        self._weights = class_weights(data.train, data.outputs).to(device) if self._weighs(recipe) else None
        self._deviation = value_scale(job.normalisation)[1].to(device)

    def _weighs(self, recipe: Recipe) -> bool:
        return self._is_classification and recipe.imbalance == "weights"

    def loss(self, answers: Tensor, targets: Tensor) -> Tensor:
        """The mean over the rows; of values in units of their variance, so that none outweighs the others."""
        if self._is_classification:
            return F.cross_entropy(answers, targets, weight=self._weights, label_smoothing=self._smoothing)
        return ((answers - targets) / self._deviation).square().mean()

    def correct(self, answers: Tensor, targets: Tensor) -> Tensor:
        """How many rows got the right class, 0-d; of values none is simply right or wrong."""
        if self._is_classification:
            return (answers.argmax(dim=1) == targets).sum()
        return torch.zeros((), device=answers.device)
