"""What bounds a model's batches and its queue."""

from __future__ import annotations

from dataclasses import dataclass

from conveyor_server.batch import Batch
from conveyor_server.deadlines import sooner
from conveyor_server.statistics import Closing


@dataclass(frozen=True, kw_only=True)
class BatchLimits:
    """Sizes in rows, times in seconds."""

    max_batch_size: int
    max_queue_size: int
    max_queue_delay: float = 0.0
    # From a request's arrival, where its own deadline is not sooner; 0 for none.
    default_timeout: float = 0.0

    def deadline_of(self, own: float | None, arrived_at: float) -> float | None:
        """The deadline that holds for a caller's request, from its own; seconds of one clock."""
        return sooner(own, arrived_at + self.default_timeout) if self.default_timeout else own

    def closing_of(self, batch: Batch, otherwise: Closing) -> Closing:
        """Why the batch was closed; `otherwise` says what lets one go that is not full."""
        if batch.is_background:
            return Closing.BACKGROUND
        if batch.size >= self.max_batch_size:
            return Closing.FULL
        return Closing.DELAY if self.max_queue_delay > 0.0 else otherwise
