"""Requests cut into batches, and a batch's output cut back into answers: arithmetic, without loop, clock or lock.

A request holds one row or many. Its rows leave the queue from the front, as many as fit: a request may share a batch
with others, and may spread over several batches.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

# One row per image along the first axis; after it the shape and the type of the model's input or output.
Rows = npt.NDArray[Any]

DEFAULT_PRIORITY: Final = 2
# The server's own work, such as copies for a version on trial: behind every caller's, never in a caller's batch, and
# in no statistics of requests.
BACKGROUND_PRIORITY: Final = 4


# Outcome and Segment are made for every request: tuples, because a frozen dataclass takes three times as long to make.
class Outcome(NamedTuple):
    """A request's answer: `output` (rows, values), and where its time went, in seconds."""

    output: Rows
    # From submission until the last of its rows was taken into a batch.
    queue_seconds: float
    # The run of the batch that was the last to be answered.
    compute_seconds: float
    # Rows of the largest batch that it was part of, other callers' included, padding not.
    batch_size: int


@dataclass(slots=True, kw_only=True)
class Parts:
    """What there is so far of the answer to a request that spreads over several batches."""

    # By the index of their first row.
    outputs: dict[int, Rows] = field(default_factory=dict)
    answered_rows: int = 0
    largest_batch: int = 0


@dataclass(slots=True, eq=False)
class PendingRequest:
    """One request on its way through the batcher, with everything that is known of it, its own reply included."""

    rows: Rows
    reply: asyncio.Future[Outcome]
    # Seconds of the batcher's clock. `arrived_at` is earlier: its rows were prepared in between.
    arrived_at: float
    submitted_at: float
    deadline: float | None = None
    # 1 goes first.
    priority: int = DEFAULT_PRIORITY
    # Rows taken into batches so far, and when the last ones were.
    taken: int = 0
    taken_at: float = 0.0
    parts: Parts | None = None

    @property
    def waiting(self) -> int:
        """Rows not yet taken into a batch."""
        return len(self.rows) - self.taken

    def take(self, room: int, now: float) -> Segment:
        """Takes its next rows, `room` of them at most."""
        start = self.taken
        self.taken = min(start + room, len(self.rows))
        self.taken_at = now
        return Segment(self, start, self.taken)

    def add_output(self, start: int, output: Rows, compute_seconds: float, batch_size: int) -> Outcome | None:
        """Keeps the output of the rows from `start` on. Once every row has its own, returns them all in their order."""
        queue_seconds = self.taken_at - self.submitted_at
        if len(output) == len(self.rows):
            return Outcome(output, queue_seconds, compute_seconds, batch_size)
        parts = self.parts = self.parts or Parts()
        parts.outputs[start] = output
        parts.answered_rows += len(output)
        parts.largest_batch = max(parts.largest_batch, batch_size)
        if parts.answered_rows < len(self.rows):
            return None
        whole = np.concatenate([parts.outputs[first] for first in sorted(parts.outputs)])
        return Outcome(whole, queue_seconds, compute_seconds, parts.largest_batch)


class Segment(NamedTuple):
    """Rows `start` to `stop` of one request, inside one batch."""

    request: PendingRequest
    start: int
    stop: int

    @property
    def size(self) -> int:
        """Its rows."""
        return self.stop - self.start

    @property
    def rows(self) -> Rows:
        """The rows themselves, not copied."""
        rows = self.request.rows
        return rows if self.size == len(rows) else rows[self.start : self.stop]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Rows that run together. `size` counts real rows; padding is the session's own business."""

    segments: Sequence[Segment]
    size: int

    @property
    def is_background(self) -> bool:
        """Whether it is the server's own work."""
        return self.segments[0].request.priority == BACKGROUND_PRIORITY

    def merge(self) -> Rows:
        """All rows in one array, in the order of the segments."""
        parts = [segment.rows for segment in self.segments]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def split(self, output: Rows) -> list[Rows]:
        """The output (size, values) cut into one array per segment. Raises ValueError for another row count."""
        if len(output) != self.size:
            raise ValueError(f"a batch of {self.size} rows gave {len(output)} rows of output")
        parts = []
        start = 0
        for segment in self.segments:
            stop = start + segment.size
            parts.append(output[start:stop])
            start = stop
        return parts


class Observer(Protocol):
    """Looks at callers' batches, in the event loop's thread, once their answers are found. Must be quick."""

    def observe(self, batch: Batch, output: Rows | None, compute_seconds: float) -> None:
        """The batch gave this output (rows, values); None where its run failed, and its requests with it."""


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
