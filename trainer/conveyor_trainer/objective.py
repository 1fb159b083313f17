"""What is made small: cross-entropy for classes, squared error for values."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  # its usual name

from conveyor_trainer.input_format import Task
from conveyor_trainer.normalise import value_scale
from conveyor_trainer.recipe import Recipe
from conveyor_trainer.report import Normalisation


class Objective:
    """Compares the network's answers with targets: logits N x classes with int64 N, or values N x K with N x K."""

    def __init__(self, task: Task, recipe: Recipe, normalisation: Normalisation, device: torch.device) -> None:
        self._is_classification = task == "classification"
        self._smoothing = recipe.label_smoothing
        self._deviation = value_scale(normalisation)[1].to(device)

    def loss(self, answers: Tensor, targets: Tensor) -> Tensor:
        """The mean over the rows; of values in units of their variance, so that none outweighs the others."""
        if self._is_classification:
            return F.cross_entropy(answers, targets, label_smoothing=self._smoothing)
        return ((answers - targets) / self._deviation).square().mean()

    def correct(self, answers: Tensor, targets: Tensor) -> Tensor:
        """How many rows got the right class, 0-d; of values none is simply right or wrong."""
        if self._is_classification:
            return (answers.argmax(dim=1) == targets).sum()
        return torch.zeros((), device=answers.device)
