"""How good a network is on a split: the figures that training, reports and `conveyor evaluate` share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # its usual name

from conveyor_trainer.data.split import Rows, Split
from conveyor_trainer.normalise import Normaliser, value_scale
from conveyor_trainer.report import Normalisation
from conveyor_trainer.value_errors import ValueErrors, value_errors

_MOST_ROWS = 500  # at a time
_MOST_BYTES = 16 << 20  # of the rows at a time as the network takes them; its layers hold several times as much


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """accuracy 0 to 1; loss is the mean cross-entropy; confusion_matrix[true class][answered class]."""

    accuracy: float
    loss: float
    count: int
    confusion_matrix: NDArray[np.int64]
    targets: NDArray[np.int64]  # (N,) the true classes
    predictions: NDArray[np.int64]  # (N,) the answered classes
    probabilities: NDArray[np.float32]  # (N, classes)

    @property
    def confidences(self) -> NDArray[np.float32]:
        """(N,) the highest probability of each row."""
        highest: NDArray[np.float32] = self.probabilities.max(axis=1)
        return highest


@dataclass(frozen=True, kw_only=True)
class ValuesEvaluation:
    """loss is the mean squared error in units of the training values' variance; `errors` are in the values' own."""

    loss: float
    count: int
    errors: ValueErrors
    predictions: NDArray[np.float32]  # (N, K)


def evaluate_module(module: nn.Module, split: Split, normalisation: Normalisation) -> Evaluation:
    """Runs a module that gives logits over a non-empty split of classes, in eval mode; its mode is left as it was."""
    logits = predict(module, split.rows, normalisation)
    labels = torch.from_numpy(split.targets)
    best = logits.argmax(dim=1)
    classes = logits.shape[1]
    pairs = labels * classes + best
    return Evaluation(
        accuracy=float((best == labels).sum()) / len(labels),
        loss=float(F.cross_entropy(logits.double(), labels)),
        count=len(labels),
        confusion_matrix=torch.bincount(pairs, minlength=classes * classes).view(classes, classes).numpy(),
        targets=split.targets,
        predictions=best.numpy(),
        probabilities=logits.softmax(dim=1).numpy(),
    )


def evaluate_values(module: nn.Module, split: Split, normalisation: Normalisation) -> ValuesEvaluation:
    """As evaluate_module, for a module that gives values and a split that holds them."""
    predictions = predict(module, split.rows, normalisation)
    targets = torch.from_numpy(split.targets)
    _, deviation = value_scale(normalisation)
    return ValuesEvaluation(
        loss=float(((predictions - targets).double() / deviation).square().mean()),
        count=len(targets),
        errors=value_errors(predictions.numpy(), split.targets),
        predictions=predictions.numpy(),
    )


@dataclass(frozen=True, kw_only=True)
class Validation:
    """What an epoch is judged by. accuracy is None where the answers are values."""

    loss: float
    accuracy: float | None


def validate(module: nn.Module, split: Split, normalisation: Normalisation) -> Validation:
    """Evaluates a split of classes or of values."""
    if split.has_values:
        return Validation(loss=evaluate_values(module, split, normalisation).loss, accuracy=None)
    evaluation = evaluate_module(module, split, normalisation)
    return Validation(loss=evaluation.loss, accuracy=evaluation.accuracy)


def predict(module: nn.Module, rows: Rows, normalisation: Normalisation) -> Tensor:
    """float32 N x outputs on the CPU, in the order of the rows: logits, or values."""
    device = next(module.parameters(), torch.empty(0)).device
    normalise = Normaliser(normalisation, device)
    was_training = module.training
    module.eval()
    try:
        with torch.inference_mode():
            return torch.cat([module(normalise(batch.to(device))).float().cpu() for batch in _batches(rows)]).clone()
    finally:
        module.train(was_training)


def _batches(rows: Rows) -> Iterator[Tensor]:
    size = rows_at_a_time(rows.shape[1:])
    for start in range(0, len(rows), size):
        yield torch.from_numpy(rows[start : start + size])


def rows_at_a_time(row_shape: tuple[int, ...]) -> int:
    """How many rows of this shape are evaluated together."""
    return max(1, min(_MOST_ROWS, _MOST_BYTES // (4 * prod(row_shape))))
