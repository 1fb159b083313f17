"""Runs a sample of served rows again, each alone, and compares: does an answer depend on the batch that it was in?"""

from __future__ import annotations

import logging
import random
from functools import partial
from typing import Final

import numpy as np

from conveyor.v1 import model_pb2
from conveyor_contract.errors import ContractError
from conveyor_contract.golden import compare, tolerance_for
from conveyor_server.background_runs import BackgroundRuns
from conveyor_server.batch import Batch, Outcome, Rows
from conveyor_server.errors import ServingError
from conveyor_server.model import Model

log = logging.getLogger(__name__)

# For a model whose file states no tolerance.
PLAIN: Final = model_pb2.Tolerance(absolute=1e-4, relative=1e-3)


class Verifier:
    """The sample of one version. Belongs to the event loop's thread."""

    def __init__(self, model: Model, rate: float) -> None:
        """`rate` is the share of rows, 0 to 1."""
        self.rows = self.mismatches = self.dropped = 0
        self.max_difference = 0.0
        self._model = model
        self._rate = rate
        self._tolerance = _tolerance_of(model)
        # Records of several tensors are not compared.
        self._is_offered = len(model.signature.outputs) == 1
        batcher = model.batcher
        self._runs = BackgroundRuns(model, lambda: bool(batcher.waiting_rows))

    def look(self, batch: Batch, output: Rows) -> None:
        """Chooses rows of a batch, each with the same chance, and has them run again later."""
        expected = self._rate * batch.size
        count = int(expected) + (random.random() < expected % 1)  # noqa: S311
        if not count or not self._is_offered:
            return
        for index in random.sample(range(batch.size), count):
            if not self._runs.offer([_row(batch, index)], partial(self._compare, output[index : index + 1].copy())):
                self.dropped += 1

    def _compare(self, served: Rows, again: Outcome | ServingError) -> None:
        if isinstance(again, ServingError):
            self.dropped += 1
            return
        self.rows += 1
        # A caller's own input may have no finite answer; alone it has none either, and that is no difference.
        numbers = np.isfinite(again.output) | np.isfinite(served)
        difference = compare(np.where(numbers, again.output, 0), np.where(numbers, served, 0), self._tolerance)
        self.max_difference = max(self.max_difference, difference.max_absolute)
        if not difference.ok:
            self.mismatches += 1
            log.error(
                "a row run alone gave another answer model=%s version=%d difference=%.2e absolute=%.2e relative=%.2e",
                *(self._model.name, self._model.version, difference.max_absolute),
                *(self._tolerance.absolute, self._tolerance.relative),
            )


def _tolerance_of(model: Model) -> model_pb2.Tolerance:
    if model.contract is None:
        return PLAIN
    try:
        return tolerance_for(model.golden, model.provider, model.contract.precision)
    except ContractError:
        return PLAIN


def _row(batch: Batch, index: int) -> Rows:
    for segment in batch.segments:
        if index < segment.size:
            # A copy, so that it does not keep its whole request.
            return segment.rows[index : index + 1].copy()
        index -= segment.size
    raise IndexError(index)
