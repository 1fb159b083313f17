"""Checks of how a model answers, on noise: they need no network to compare with."""

import numpy as np
from numpy.typing import NDArray

from conveyor.v1 import model_pb2
from conveyor_contract.golden import compare
from conveyor_exporter.checks.candidate import Candidate, failed, passed
from conveyor_exporter.model_input import Rows
from conveyor_exporter.tolerances import proof_tolerance

_SUM_TOLERANCE = 1e-4
_RUNS = 3


def finite(candidate: Candidate) -> model_pb2.Check:
    """No answer is NaN or infinite, not even to an all-black or all-white image."""
    answers = candidate.session.run(candidate.noise)
    wrong = np.flatnonzero(~np.isfinite(answers).all(axis=1))
    if len(wrong):
        return failed(
            f"{len(wrong)} of {len(answers)} rows of noise give NaN or infinity, row {wrong[0]} first; look for a "
            "division by zero, a log of zero or an overflow.",
            rows=len(wrong),
        )
    return passed(f"{len(answers)} rows of noise give finite answers", rows=len(answers))


def probabilities(candidate: Candidate) -> model_pb2.Check:
    """Every row of a classification's answer lies in 0..1 and adds up to one."""
    if not candidate.answers_probabilities:
        return passed("the answers are values, not probabilities")
    answers = candidate.session.run(candidate.noise).astype(np.float64)
    error = float(np.abs(answers.sum(axis=1) - 1).max())
    if not error <= _SUM_TOLERANCE or answers.min() < 0 or answers.max() > 1 + _SUM_TOLERANCE:
        return failed(
            f"rows of the answer add up to {answers.sum(axis=1)[0]:.6g} and lie in {answers.min():.4g} to "
            f"{answers.max():.4g}: no probabilities; end the network in one softmax over its last axis.",
        )
    return passed(f"rows add up to one within {error:.1e}", max_sum_error=error)


def determinism(candidate: Candidate) -> model_pb2.Check:
    """The same batch gives the same answers, run after run."""
    first, *others = (candidate.session.run(candidate.noise) for _ in range(_RUNS))
    difference, ok = _largest(candidate, others, first)
    if not ok:
        return failed(
            f"the same rows gave answers {difference:.2e} apart; the network draws random numbers or keeps state.",
            max_difference=difference,
        )
    return passed(f"{_RUNS} runs within {difference:.1e}", max_difference=difference)


def batch_invariance(candidate: Candidate) -> model_pb2.Check:
    """A row's answer depends neither on its neighbours, nor on its place, nor on padding."""
    rows = candidate.noise
    alone = np.concatenate([_alone(candidate, row) for row in rows])
    together = [candidate.session.run(rows[:size]) for size in candidate.batch_sizes]
    answers = [*together, candidate.session.run(rows[::-1].copy())[::-1], *_padded(candidate)]
    references = [*(alone[:size] for size in candidate.batch_sizes), alone, *([alone[:1]] * len(candidate.batch_sizes))]
    results = [_largest(candidate, [answer], reference) for answer, reference in zip(answers, references, strict=True)]
    difference = max(distance for distance, _ in results)
    if not all(ok for _, ok in results):
        return failed(
            f"a row's answer changes by {difference:.2e} with its neighbours; look for a mean, norm or sort over the "
            "batch axis (dim=0), or batch statistics: BatchNorm with track_running_stats=False.",
            max_difference=difference,
        )
    return passed(f"alone, in company, reversed and padded within {difference:.1e}", max_difference=difference)


def _alone(candidate: Candidate, row: Rows) -> NDArray[np.float32]:
    """A row's answer in the smallest batch: by itself, or among zeros where the graph fixes its batch size."""
    rows = np.zeros((candidate.batch_sizes[0], *row.shape), row.dtype)
    rows[0] = row
    return candidate.session.run(rows)[:1]


def _padded(candidate: Candidate) -> list[NDArray[np.float32]]:
    """The first row's answer when zeros fill the rest of each batch size."""
    answers = []
    for size in candidate.batch_sizes:
        rows = np.zeros_like(candidate.noise[:size])
        rows[0] = candidate.noise[0]
        answers.append(candidate.session.run(rows)[:1])
    return answers


def _largest(
    candidate: Candidate, answers: list[NDArray[np.float32]], reference: NDArray[np.float32]
) -> tuple[float, bool]:
    tolerance = proof_tolerance(reference, candidate.precision)
    differences = [compare(answer, reference, tolerance) for answer in answers]
    return max(difference.max_absolute for difference in differences), all(difference.ok for difference in differences)
