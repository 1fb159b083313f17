"""Looks at as many served rows as a budget of time allows, after their answers are found.

The budget makes it safe to leave on: under any load, looking takes no more than its share of the event loop's time.
With little traffic every batch is looked at, with much traffic a sample of them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final

import numpy as np

from conveyor.v1 import model_pb2
from conveyor_server.batch import Batch, Rows
from conveyor_server.drift.sums import CONFIDENCE_BINS, DriftSums, no_sums
from conveyor_server.finite import are_finite
from conveyor_server.model import Model

# Share of one CPU.
BUDGET: Final = 0.005
# Of one look: rows, and values of the input.
MAX_ROWS: Final = 32
MAX_ELEMENTS: Final = 32_768
_CHANNELS_LAST: Final = (model_pb2.LAYOUT_NHWC, model_pb2.LAYOUT_NC)


class DriftMonitor:
    """What was served by one version. Belongs to the event loop's thread."""

    def __init__(self, model: Model, window: float, clock: Callable[[], float] = time.perf_counter) -> None:
        """`window` in seconds: after it, what was seen counts half. The model has a contract with statistics."""
        contract = model.contract
        assert contract is not None
        self.trained = contract.training_statistics
        self.rows_seen = 0
        # Rows left out of all sums, as one of their values, or of their answer's, is no finite number.
        self.not_finite = 0
        # Of the rows that were looked at, by label.
        self.predictions = np.zeros(len(model.labels), np.int64)
        self._window = window
        self._clock = clock
        shape = model.signature.inputs[0].shape
        self._channels_last = contract.inputs[0].layout in _CHANNELS_LAST
        channels = len(self.trained.input_mean)
        # 0 where the statistics are not those of this input.
        self._channels = channels if shape[-1 if self._channels_last else 0] == channels else 0
        self._scale = 1 / 255 if contract.inputs[0].datatype == "UINT8" else 1.0
        self._row_elements = math.prod(shape)
        self._most_rows = max(1, min(MAX_ROWS, MAX_ELEMENTS // max(1, self._row_elements)))
        self._sums = no_sums(self._channels, len(model.labels))
        self._changed_at = clock()
        self._next_look = 0.0

    def look(self, batch: Batch, output: Rows) -> None:
        """Takes a batch with its output (rows, values) into account, if it is time to."""
        began = self._clock()
        if began < self._next_look:
            return
        try:
            self._take(batch, output, began)
        finally:
            ended = self._clock()
            self._next_look = ended + (ended - began) / BUDGET

    def _take(self, batch: Batch, output: Rows, now: float) -> None:
        rows = _first_rows(batch, self._most_rows)
        output = output[: len(rows)]
        finite = are_finite(rows) & are_finite(output)
        if not finite.all():
            # One such value would stay in the sums for ever.
            self.not_finite += len(rows) - int(finite.sum())
            rows, output = rows[finite], output[finite]
        if len(rows):
            self._sums = self.sums(now).plus(self._of(rows, output))
            self._changed_at = now
            self.rows_seen += len(rows)

    def sums(self, now: float | None = None) -> DriftSums:
        """The sums as they weigh now."""
        age = (self._clock() if now is None else now) - self._changed_at
        return self._sums.scaled(0.5 ** (age / self._window))

    def _of(self, rows: Rows, output: Rows) -> DriftSums:
        sums = no_sums(self._channels, len(self.predictions))
        sums.rows = len(rows)
        self._add_input(sums, rows)
        if len(self.predictions):
            classes = np.bincount(output.argmax(axis=1), minlength=len(self.predictions))
            bins = np.clip(output.max(axis=1) * CONFIDENCE_BINS, 0, CONFIDENCE_BINS - 1).astype(np.int64)
            self.predictions += classes
            sums.classes += classes
            sums.confidences += np.bincount(bins, minlength=CONFIDENCE_BINS)
        return sums

    def _add_input(self, sums: DriftSums, rows: Rows) -> None:
        if not self._channels:
            return
        # Of a large row every so many-th value is enough.
        values = rows.reshape(-1, self._channels) if self._channels_last else _by_channel(rows, self._channels)
        values = values[:: max(1, values.size // MAX_ELEMENTS)] * np.float32(self._scale)
        sums.elements = len(values)
        sums.total += values.sum(axis=0, dtype=np.float64)
        sums.squares += np.einsum("ij,ij->j", values, values, dtype=np.float64)


def monitor_of(model: Model, window: float) -> DriftMonitor | None:
    """None for a model whose file says nothing of its training."""
    contract = model.contract
    stated = contract is not None and contract.HasField("training_statistics")
    return DriftMonitor(model, window) if stated else None


def _by_channel(rows: Rows, channels: int) -> Rows:
    """Rows of N x C x anything as values x channels."""
    return np.moveaxis(rows.reshape(len(rows), channels, -1), 1, 2).reshape(-1, channels)


def _first_rows(batch: Batch, most: int) -> Rows:
    parts: list[Rows] = []
    missing = most
    for segment in batch.segments:
        if missing <= 0:
            break
        parts.append(segment.rows[:missing])
        missing -= len(parts[-1])
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
