"""How good a network is on a split: the figures that training, reports and `conveyor evaluate` share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F  # noqa: N812  # its usual name

from conveyor_trainer.data.split import Split
from conveyor_trainer.normalise import Normaliser
from conveyor_trainer.report import Normalisation

_BATCH = 500  # images


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """accuracy 0 to 1; loss is the mean cross-entropy; confusion_matrix[true class][answered class]."""

    accuracy: float
    loss: float
    count: int
    confusion_matrix: NDArray[np.int64]
    predictions: NDArray[np.int64]  # (N,) the answered classes
    confidences: NDArray[np.float32]  # (N,) the highest probabilities


def evaluate_module(module: nn.Module, split: Split, normalisation: Normalisation) -> Evaluation:
    """Runs a module that gives logits over a non-empty split, in eval mode; its mode is left as it was."""
    logits = predict_logits(module, split, normalisation)
    labels = torch.from_numpy(split.labels)
    best = logits.argmax(dim=1)
    classes = logits.shape[1]
    pairs = labels * classes + best
    return Evaluation(
        accuracy=float((best == labels).sum()) / len(labels),
        loss=float(F.cross_entropy(logits.double(), labels)),
        count=len(labels),
        confusion_matrix=torch.bincount(pairs, minlength=classes * classes).view(classes, classes).numpy(),
        predictions=best.numpy(),
        confidences=logits.softmax(dim=1).max(dim=1).values.numpy(),
    )


def predict_logits(module: nn.Module, split: Split, normalisation: Normalisation) -> torch.Tensor:
    """float32 N x classes on the CPU, in the order of the split."""
    device = next(module.parameters(), torch.empty(0)).device
    normalise = Normaliser(normalisation, device)
    was_training = module.training
    module.eval()
    try:
        with torch.inference_mode():
            batches = torch.split(torch.from_numpy(split.images), _BATCH)
            return torch.cat([module(normalise(batch.to(device))).float().cpu() for batch in batches]).clone()
    finally:
        module.train(was_training)
