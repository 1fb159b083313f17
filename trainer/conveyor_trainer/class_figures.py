"""Figures of each class and of the network's confidence, by torchmetrics."""

from __future__ import annotations

import torch

from conveyor_trainer.evaluate import Evaluation
from conveyor_trainer.report import ClassReport


def class_reports(evaluation: Evaluation, labels: tuple[str, ...]) -> tuple[ClassReport, ...]:
    """Precision, recall, F1 and count of each class, in the order of the labels; 0 where nothing was answered, None
    where there was nothing to be answered."""
    # Here, not above: torchmetrics takes seconds to import, and only the end of a training needs it.
    from torchmetrics.functional import classification

    answers, targets = torch.from_numpy(evaluation.predictions), torch.from_numpy(evaluation.targets)
    figures = [
        measure(answers, targets, num_classes=len(labels), average="none").tolist()
        for measure in (
            classification.multiclass_precision,
            classification.multiclass_recall,
            classification.multiclass_f1_score,
        )
    ]
    counts = evaluation.confusion_matrix.sum(axis=1).tolist()
    return tuple(
        ClassReport(label=label, precision=precision, recall=recall, f1=f1, count=count)
        if count
        else ClassReport(label=label, precision=None, recall=None, f1=None, count=0)
        for label, precision, recall, f1, count in zip(labels, *figures, counts, strict=True)
    )


def calibration_error(evaluation: Evaluation) -> float:
    """Expected calibration error: how far confidence and share of right answers lie apart, over 15 equal bins."""
    from torchmetrics.functional.classification import multiclass_calibration_error

    probabilities, targets = torch.from_numpy(evaluation.probabilities), torch.from_numpy(evaluation.targets)
    return float(multiclass_calibration_error(probabilities, targets, num_classes=probabilities.shape[1], n_bins=15))
