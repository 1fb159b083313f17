"""A lower precision beside the fp32 file that it was made from. Whether it pays is for the gate to say."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from conveyor.v1 import model_pb2
from conveyor_exporter.checks.candidate import Proof, passed


@dataclass(frozen=True, kw_only=True)
class LowerProof(Proof):
    """An int8 or fp16 candidate with the proof of its fp32 source, whose checks all passed."""

    source: Proof
    source_checks: Sequence[model_pb2.Check]

    @cached_property
    def reference_answers(self) -> NDArray[np.float32]:
        return self.source.reference_answers

    @property
    def score(self) -> float:
        """Percent: accuracy, or R squared for values, on the test split; 0 without one."""
        return 0.0 if self.test is None else self._score_of(self.exported_answers)

    @property
    def fp32_score(self) -> float:
        """The reference's own score."""
        return 0.0 if self.test is None else self._score_of(self.reference_answers)

    @property
    def agreement(self) -> float:
        """The share of the test rows, or of noise, that keep the reference's label; 1 for values."""
        if not self.reference.description.is_classification:
            return 1.0
        if self.test is None:
            noise = self.candidate.noise
            ours, theirs = self.candidate.session.run(noise), self.reference.answers(noise)
        else:
            ours, theirs = self.exported_answers, self.reference_answers
        return float(np.mean(ours.argmax(axis=1) == theirs.argmax(axis=1)))

    def _score_of(self, answers: NDArray[np.float32]) -> float:
        assert self.test is not None  # as its callers have seen
        if self.reference.description.is_classification:
            return 100 * float(np.mean(answers.argmax(axis=1) == self.test.targets))
        targets = self.test.targets.reshape(len(answers), -1).astype(np.float64)
        left, spread = ((targets - answers) ** 2).sum(), ((targets - targets.mean(axis=0)) ** 2).sum()
        return 100 * float(1 - left / spread) if spread else 0.0


def fp32_source(proof: LowerProof) -> model_pb2.Check:
    """The fp32 file that this one was made from has passed all of its checks."""
    figures = {check.name: check.figures for check in proof.source_checks}
    difference = max(dict(figures.get(name, {})).get("max_difference", 0.0) for name in ("parity_noise", "parity_real"))
    return passed(
        f"made from an fp32 file that passed {len(proof.source_checks)} checks, within {difference:.1e} of "
        f"{proof.reference.name}",
        checks=len(proof.source_checks),
        max_difference=difference,
    )
