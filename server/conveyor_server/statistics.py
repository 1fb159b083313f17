"""What one model version has done since it was loaded: counters that only grow. Belongs to the event loop's thread."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from conveyor_server.batch import PendingRequest


@dataclass(slots=True)
class Tally:
    """How often something happened, and how long all of it took."""

    count: int = 0
    seconds: float = 0.0

    def add(self, seconds: float, count: int = 1) -> None:
        """Counts one more, or several that took `seconds` together."""
        self.count += count
        self.seconds += seconds


@dataclass(slots=True, kw_only=True)
class Statistics:
    """Requests are counted when they are answered, batches when they have run."""

    success: Tally = field(default_factory=Tally)
    fail: Tally = field(default_factory=Tally)
    queue: Tally = field(default_factory=Tally)
    compute_input: Tally = field(default_factory=Tally)
    compute_infer: Tally = field(default_factory=Tally)
    compute_output: Tally = field(default_factory=Tally)
    # Rows of answered requests.
    rows: int = 0
    # Runs of the model, by the rows in them, padding not counted.
    batches: dict[int, Tally] = field(default_factory=dict)
    # Seconds since the epoch; 0 before the first.
    last_inference: float = 0.0

    def add_answered(self, requests: Sequence[PendingRequest], compute_seconds: float, now: float) -> None:
        """Counts requests that are all answered at once, by the same run of the model; `now` in their own clock."""
        total = waited = prepared = 0.0
        for request in requests:
            total += now - request.arrived_at
            waited += request.taken_at - request.submitted_at
            prepared += request.submitted_at - request.arrived_at
            self.rows += len(request.rows)
        count = len(requests)
        computed = count * compute_seconds
        self.last_inference = time.time()
        self.success.add(total, count)
        self.queue.add(waited, count)
        self.compute_input.add(prepared, count)
        self.compute_infer.add(computed, count)
        # What is left: joining the batch, changing threads, cutting the output.
        self.compute_output.add(max(0.0, total - waited - prepared - computed), count)

    def add_failure(self, seconds: float) -> None:
        """Counts a request that was refused or failed."""
        self.fail.add(seconds)

    def add_batch(self, rows: int, seconds: float) -> None:
        """Counts a run of the model."""
        tally = self.batches.get(rows)
        if tally is None:
            tally = self.batches[rows] = Tally()
        tally.add(seconds)
