"""Whether two versions can be compared on the same rows, and how their answers compare."""

from __future__ import annotations

from typing import Final

import numpy as np

from conveyor.v1 import model_pb2
from conveyor_server.batch import Rows
from conveyor_server.finite import are_finite
from conveyor_server.model import Model
from conveyor_server.traffic.comparison import Comparison

# Regression: how far values that agree may lie apart.
ABSOLUTE: Final = 1e-6
RELATIVE: Final = 0.01


def why_not_comparable(stable: Model, trial: Model) -> str | None:
    """In one sentence, why one version's rows cannot be given to the other; None where they can."""
    mine, other = stable.signature, trial.signature
    if len(mine.outputs) != 1 or len(other.outputs) != 1:
        return "only models with one output can be compared"
    if list(mine.inputs) != list(other.inputs) or bool(mine.max_batch_size) != bool(other.max_batch_size):
        return f"versions {stable.version} and {trial.version} take different inputs"
    if _steps_before_the_graph(stable) != _steps_before_the_graph(trial):
        return f"versions {stable.version} and {trial.version} prepare images in different ways"
    if bool(stable.labels) != bool(trial.labels):
        return f"only one of versions {stable.version} and {trial.version} has labels"
    return None


def _steps_before_the_graph(model: Model) -> model_pb2.Preprocessing:
    steps = model_pb2.Preprocessing()
    if model.contract is not None:
        steps.CopyFrom(model.contract.preprocessing)
    steps.ClearField("in_graph")
    return steps


class Likeness:
    """How the answers of two versions to the same rows compare. Labels are compared by name, wherever they stand."""

    def __init__(self, stable: Model, trial: Model) -> None:
        numbers = {label: number for number, label in enumerate(dict.fromkeys([*stable.labels, *trial.labels]))}
        self._stable_numbers = np.array([numbers[label] for label in stable.labels], np.int64)
        self._trial_numbers = np.array([numbers[label] for label in trial.labels], np.int64)
        shared = [label for label in stable.labels if label in set(trial.labels)]
        self._stable_columns = [stable.labels.index(label) for label in shared]
        self._trial_columns = [trial.labels.index(label) for label in shared]
        self._have_labels = bool(stable.labels)

    def add(self, comparison: Comparison, stable: Rows, trial: Rows) -> int:
        """Adds rows (rows, values) that both versions answered; returns how many disagree.

        Where the stable version's own answer is no finite number, as for an input that is none, nothing is compared.
        """
        told, told_by_trial = are_finite(stable), are_finite(trial)
        comparison.not_finite += len(told) - int((told & told_by_trial).sum())
        if not told.any():
            return 0
        stable, trial, finite = stable[told], trial[told], told_by_trial[told]
        if self._have_labels:
            said, stated = stable.argmax(axis=1), trial.argmax(axis=1)
            agree = finite & (self._stable_numbers[said] == self._trial_numbers[stated])
            comparison.stable_confidence += float(stable[finite].max(axis=1).sum())
            comparison.trial_confidence += float(trial[finite].max(axis=1).sum())
            stable, trial = stable[:, self._stable_columns], trial[:, self._trial_columns]
        elif stable.shape == trial.shape:
            agree = np.isclose(trial, stable, RELATIVE, ABSOLUTE).reshape(len(stable), -1).all(axis=1)
        else:
            agree = np.zeros(len(stable), bool)
        agreements = int(agree.sum())
        comparison.rows += len(agree)
        comparison.agreements += agreements
        if stable.shape == trial.shape:
            _add_differences(comparison, stable, trial)
        return len(agree) - agreements


def _add_differences(comparison: Comparison, stable: Rows, trial: Rows) -> None:
    difference, magnitude = np.abs(trial.astype(np.float64) - stable), np.abs(stable)
    finite = np.isfinite(difference)
    difference, magnitude = difference[finite], magnitude[finite]
    comparison.difference += float(difference.sum())
    comparison.magnitude += float(magnitude.sum())
    comparison.values += difference.size
    comparison.max_difference = max(comparison.max_difference, float(difference.max(initial=0.0)))
