"""What one model version has done since it was loaded: counters that only grow. Belongs to the event loop's thread."""

from __future__ import annotations

import asyncio
import enum
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from conveyor_server.batch import PendingRequest
from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.metrics.histogram import ROWS, SECONDS, Histogram


class Closing(enum.Enum):
    """Why a batch was closed with the rows that it has, and no more."""

    # It holds `max_batch_size` rows.
    FULL = "full"
    # A session was free when its first request came, and no more came at once.
    ARRIVAL = "arrival"
    # A session became free, and took what had come meanwhile.
    SESSION_FREE = "session_free"
    # `max_queue_delay` had passed.
    DELAY = "delay"
    # The server's own work, which runs alone.
    BACKGROUND = "background"


@dataclass(slots=True)
class Tally:
    """How often something happened, and how long all of it took."""

    count: int = 0
    seconds: float = 0.0

    def add(self, seconds: float, count: int = 1) -> None:
        """Counts one more, or several that took `seconds` together."""
        self.count += count
        self.seconds += seconds

    def include(self, other: Tally) -> None:
        """Counts what another has counted."""
        self.add(other.seconds, other.count)


@dataclass(slots=True, kw_only=True)
class Spread:
    """How requests and batches spread: what an average hides. Seconds and rows."""

    request: Histogram = field(default_factory=lambda: Histogram(SECONDS))
    queue: Histogram = field(default_factory=lambda: Histogram(SECONDS))
    preprocess: Histogram = field(default_factory=lambda: Histogram(SECONDS))
    # Once for each run of the model, however many requests it answers.
    compute: Histogram = field(default_factory=lambda: Histogram(SECONDS))
    batch_rows: Histogram = field(default_factory=lambda: Histogram(ROWS))

    def include(self, other: Spread) -> None:
        """Counts what another has counted."""
        for name in ("request", "queue", "preprocess", "compute", "batch_rows"):
            getattr(self, name).include(getattr(other, name))


@dataclass(slots=True, kw_only=True)
class Statistics:
    """Requests are counted when they are answered, batches when they have run."""

    success: Tally = field(default_factory=Tally)
    fail: Tally = field(default_factory=Tally)
    queue: Tally = field(default_factory=Tally)
    compute_input: Tally = field(default_factory=Tally)
    compute_infer: Tally = field(default_factory=Tally)
    compute_output: Tally = field(default_factory=Tally)
    # Those that were not answered, by what became of them.
    failures: dict[ErrorKind, int] = field(default_factory=dict)
    # Rows of answered requests.
    rows: int = 0
    # Batches that were formed.
    closed: dict[Closing, int] = field(default_factory=lambda: dict.fromkeys(Closing, 0))
    # Runs that were given up because they took too long.
    hanging: int = 0
    # Runs of the model, by the rows in them, padding not counted.
    batches: dict[int, Tally] = field(default_factory=dict)
    # Seconds since the epoch; 0 before the first.
    last_inference: float = 0.0
    # None where nobody looks.
    spread: Spread | None = field(default_factory=Spread)

    def add_answered(self, requests: Sequence[PendingRequest], compute_seconds: float, now: float) -> None:
        """Counts requests that are all answered at once, by the same run of the model; `now` in their own clock."""
        totals = [now - request.arrived_at for request in requests]
        waits = [request.taken_at - request.submitted_at for request in requests]
        prepared = [request.submitted_at - request.arrived_at for request in requests]
        count = len(requests)
        total, waited, preparing, computed = sum(totals), sum(waits), sum(prepared), count * compute_seconds
        self.rows += sum(len(request.rows) for request in requests)
        self.last_inference = time.time()
        self.success.add(total, count)
        self.queue.add(waited, count)
        self.compute_input.add(preparing, count)
        self.compute_infer.add(computed, count)
        # What is left: joining the batch, changing threads, cutting the output.
        self.compute_output.add(max(0.0, total - waited - preparing - computed), count)
        if self.spread is not None:
            self.spread.request.observe_all(totals)
            self.spread.queue.observe_all(waits)
            self.spread.preprocess.observe_all(prepared)

    def add_failure(self, seconds: float, error: BaseException) -> None:
        """Counts a request that was refused or failed."""
        self.fail.add(seconds)
        kind = _kind_of(error)
        self.failures[kind] = self.failures.get(kind, 0) + 1

    def add_batch(self, rows: int, seconds: float) -> None:
        """Counts a run of the model."""
        tally = self.batches.get(rows)
        if tally is None:
            tally = self.batches[rows] = Tally()
        tally.add(seconds)
        if self.spread is not None:
            self.spread.compute.observe(seconds)
            self.spread.batch_rows.observe(rows)

    def include(self, other: Statistics) -> None:
        """Counts what another has counted."""
        for name in ("success", "fail", "queue", "compute_input", "compute_infer", "compute_output"):
            getattr(self, name).include(getattr(other, name))
        self.rows += other.rows
        self.hanging += other.hanging
        self.last_inference = max(self.last_inference, other.last_inference)
        for kind, count in other.failures.items():
            self.failures[kind] = self.failures.get(kind, 0) + count
        for closing, count in other.closed.items():
            self.closed[closing] += count
        for rows, tally in other.batches.items():
            self.batches.setdefault(rows, Tally()).include(tally)
        if self.spread is not None and other.spread is not None:
            self.spread.include(other.spread)


def _kind_of(error: BaseException) -> ErrorKind:
    if isinstance(error, ServingError):
        return error.kind
    return ErrorKind.CANCELLED if isinstance(error, asyncio.CancelledError) else ErrorKind.INTERNAL
