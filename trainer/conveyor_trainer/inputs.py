"""From a batch's rows to what the network is trained on: augmented, normalised, in the order in memory it likes."""

from __future__ import annotations

import torch
from torch import Tensor

from conveyor_trainer.augment import make_augmenter
from conveyor_trainer.normalise import Normaliser
from conveyor_trainer.recipe import Recipe
from conveyor_trainer.report import Normalisation


class TrainingInputs:
    """Rows (uint8 N x H x W x C, or float32 N x C x L) to float32 N x C x ...; signals are never augmented."""

    def __init__(self, recipe: Recipe, normalisation: Normalisation, device: torch.device) -> None:
        self._scale = normalisation.scale
        self._normalise = Normaliser(normalisation, device)
        self._augment = make_augmenter(recipe.augmentation) if recipe.augmentation else None
        self._channels_last = recipe.channels_last

    def __call__(self, rows: Tensor) -> Tensor:
        """With augmentation, uses PyTorch's global generator."""
        if rows.ndim != 4:
            return self._normalise(rows)
        if self._augment is not None:
            pixels = self._augment(rows.permute(0, 3, 1, 2) * self._scale)
            rows = pixels.permute(0, 2, 3, 1) / self._scale
        inputs = self._normalise(rows)
        return inputs.contiguous(memory_format=torch.channels_last) if self._channels_last else inputs
