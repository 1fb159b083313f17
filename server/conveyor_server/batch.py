"""Requests cut into batches, and a batch's output cut back into answers: arithmetic, without loop, clock or lock.

A request holds one row or many. Its rows leave the queue from the front, as many as fit: a request may share a batch
with others, and may spread over several batches.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

# One row per image along the first axis; after it the shape and the type of the model's input or output.
Rows = npt.NDArray[Any]

DEFAULT_PRIORITY: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A request's answer: `output` (rows, values), and where its time went, in seconds."""

    output: Rows
    # From submission until the last of its rows was taken into a batch.
    queue_seconds: float
    # The run of the batch that was the last to be answered.
    compute_seconds: float
    # Rows of the largest batch that it was part of, other callers' included, padding not.
    batch_size: int


@dataclass(slots=True, eq=False, kw_only=True)
class PendingRequest:
    """One request on its way through the batcher, with everything that is known of it, its own reply included."""

    rows: Rows
    reply: asyncio.Future[Outcome]
    # Seconds of the batcher's clock.
    submitted_at: float
    deadline: float | None
    # 1 goes first.
    priority: int = DEFAULT_PRIORITY
    deadline_timer: asyncio.TimerHandle | None = None
    # Rows taken into batches so far, and when the last ones were.
    taken: int = 0
    taken_at: float = 0.0
    # Rows that have their output, and the outputs, by the index of their first row.
    answered: int = 0
    outputs: dict[int, Rows] = field(default_factory=dict)
    largest_batch: int = 0

    @property
    def waiting(self) -> int:
        """Rows not yet taken into a batch."""
        return len(self.rows) - self.taken

    def take(self, room: int) -> Segment:
        """Takes its next rows, `room` of them at most."""
        start = self.taken
        self.taken = min(start + room, len(self.rows))
        return Segment(request=self, start=start, stop=self.taken)

    def add_output(self, start: int, output: Rows) -> bool:
        """Keeps the output of the rows from `start` on; True once every row has its own."""
        self.outputs[start] = output
        self.answered += len(output)
        return self.answered == len(self.rows)

    def whole_output(self) -> Rows:
        """The outputs of all rows, in their order; only once every row has its own."""
        if len(self.outputs) == 1:
            return self.outputs[0]
        return np.concatenate([self.outputs[start] for start in sorted(self.outputs)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Rows `start` to `stop` of one request, inside one batch."""

    request: PendingRequest
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Rows that run together. `size` counts real rows; padding is the session's own business."""

    segments: Sequence[Segment]
    size: int

    def merge(self) -> Rows:
        """All rows in one array, in the order of the segments."""
        if len(self.segments) == 1:
            segment = self.segments[0]
            return segment.request.rows[segment.start : segment.stop]
        return np.concatenate([s.request.rows[s.start : s.stop] for s in self.segments])

    def split(self, output: Rows) -> list[Rows]:
        """The output (size, values) cut into one array per segment. Raises ValueError for another row count."""
        if len(output) != self.size:
            raise ValueError(f"a batch of {self.size} rows gave {len(output)} rows of output")
        parts = []
        start = 0
        for segment in self.segments:
            stop = start + len(segment)
            parts.append(output[start:stop])
            start = stop
        return parts


def bucket_for(size: int, buckets: Sequence[int]) -> int:
    """The smallest of the ascending `buckets` (rows) that holds `size` rows. Raises ValueError when none does."""
    for bucket in buckets:
        if bucket >= size:
            return bucket
    raise ValueError(f"{size} rows do not fit into the largest bucket, {buckets[-1] if buckets else 0}")


def pad(rows: Rows, bucket: int) -> Rows:
    """Rows of zeros appended until there are `bucket`; the same array when there are already."""
    missing = bucket - len(rows)
    if missing == 0:
        return rows
    return np.concatenate([rows, np.zeros((missing, *rows.shape[1:]), rows.dtype)])
