"""Checks on the whole test split: the same labels, the same accuracy."""

from dataclasses import dataclass

import numpy as np

from conveyor.v1 import model_pb2
from conveyor_contract.golden import compare
from conveyor_exporter.checks.candidate import Proof, failed, passed
from conveyor_exporter.tolerances import proof_tolerance

_NAMED_ROWS = 10
_REPORTED_TOLERANCE = 0.001  # of accuracy, and a share of an error: another machine's last digit may turn a close call


def agreement(proof: Proof) -> model_pb2.Check | None:
    """Every test row gets the same label from both, or values within the tolerance."""
    if proof.test is None:
        return None
    pytorch, exported = proof.reference_answers, proof.exported_answers
    count = len(pytorch)
    if not proof.reference.description.is_classification:
        difference = compare(exported, pytorch, proof_tolerance(pytorch))
        verdict = passed if difference.ok else failed
        return verdict(f"values of {count} rows within {difference.max_absolute:.1e}", rows=count)
    changed = changed_labels(proof)
    if changed:
        named = [change.row for change in changed[:_NAMED_ROWS]]
        return failed(
            f"{len(changed)} of {count} test rows change their label: rows {named}; the file does not answer as the "
            "network did.",
            changed=len(changed),
            rows=count,
        )
    return passed(f"all {count} test rows keep their label", changed=0, rows=count)


@dataclass(frozen=True, kw_only=True)
class ChangedLabel:
    """A test row whose label the exported file changes. Labels are the outputs' indices; `row` counts from 0."""

    row: int
    target: int
    reference: int
    exported: int


def changed_labels(proof: Proof) -> tuple[ChangedLabel, ...]:
    """Every test row of a classification to which the file gives another label than its network."""
    if proof.test is None or not proof.reference.description.is_classification:
        return ()
    reference, exported = proof.reference_answers.argmax(axis=1), proof.exported_answers.argmax(axis=1)
    return tuple(
        ChangedLabel(
            row=int(row),
            target=int(proof.test.targets[row]),
            reference=int(reference[row]),
            exported=int(exported[row]),
        )
        for row in np.flatnonzero(reference != exported)
    )


def accuracy(proof: Proof) -> model_pb2.Check | None:
    """PyTorch and ONNX Runtime are right equally often."""
    if proof.test is None or not proof.reference.description.is_classification:
        return None
    pytorch, exported = (
        np.mean(answers.argmax(axis=1) == proof.test.targets)
        for answers in (proof.reference_answers, proof.exported_answers)
    )
    name = proof.reference.name
    figures = {name.lower(): float(pytorch), "onnxruntime": float(exported), "rows": float(len(proof.test.targets))}
    if pytorch != exported:
        return failed(f"{name} is right in {pytorch:.2%}, the exported file in {exported:.2%}.", **figures)
    reported = proof.reference.description.reported_accuracy
    if reported is not None and abs(reported - pytorch) > _REPORTED_TOLERANCE:
        return failed(
            f"training reports {reported:.2%}, {name} gives {pytorch:.2%} here; other data or other preprocessing "
            "than in training.",
            reported=reported,
            **figures,
        )
    chance = 1 / len(proof.candidate.labels)
    warning = "" if exported > chance else f"; no better than chance ({chance:.2%}): are the labels in its order?"
    return passed(f"{exported:.2%} of {len(proof.test.targets)} test rows for both{warning}", **figures)


def mean_error(proof: Proof) -> model_pb2.Check | None:
    """The mean absolute error of a regression is the same for both."""
    if proof.test is None or proof.reference.description.is_classification:
        return None
    targets = proof.test.targets.reshape(len(proof.test.targets), -1)
    pytorch, exported = (
        float(np.abs(answers - targets).mean()) for answers in (proof.reference_answers, proof.exported_answers)
    )
    tolerance = proof_tolerance(targets).absolute
    reported = proof.reference.description.reported_error
    if reported is not None and abs(reported - pytorch) > tolerance + _REPORTED_TOLERANCE * reported:
        return failed(
            f"training reports a mean absolute error of {reported:.4g}, {proof.reference.name} gives {pytorch:.4g} "
            "here; other data or other preprocessing than in training.",
            reported=reported,
            pytorch=pytorch,
        )
    verdict = passed if abs(pytorch - exported) <= tolerance else failed
    return verdict(
        f"mean absolute error {pytorch:.4g} for {proof.reference.name}, {exported:.4g} for ONNX Runtime",
        pytorch=pytorch,
        onnxruntime=exported,
    )
