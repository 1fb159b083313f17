"""What one model version has done since it was loaded: counters that only grow. Belongs to the event loop's thread."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """How often something happened, and how long all of it took."""

    count: int = 0
    seconds: float = 0.0

    def add(self, seconds: float) -> None:
        """Counts one more."""
        self.count += 1
        self.seconds += seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestTimes:
    """Where the time of one answered request went, in seconds."""

    total: float
    compute_input: float
    queue: float
    compute_infer: float
    compute_output: float


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

    def add_success(self, rows: int, times: RequestTimes) -> None:
        """Counts a request whose rows were all answered."""
        self.rows += rows
        self.last_inference = time.time()
        self.success.add(times.total)
        self.queue.add(times.queue)
        self.compute_input.add(times.compute_input)
        self.compute_infer.add(times.compute_infer)
        self.compute_output.add(times.compute_output)

    def add_failure(self, seconds: float) -> None:
        """Counts a request that was refused or failed."""
        self.fail.add(seconds)

    def add_batch(self, rows: int, seconds: float) -> None:
        """Counts a run of the model."""
        tally = self.batches.get(rows)
        if tally is None:
            tally = self.batches[rows] = Tally()
        tally.add(seconds)
