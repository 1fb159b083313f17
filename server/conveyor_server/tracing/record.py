"""What is known of one call that is looked at: who asks for what, and what its rows went through.

A call that nobody looks at has no record, and costs the model one look into a context variable.
"""

from __future__ import annotations

import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from conveyor_server.batch import Outcome
from conveyor_server.shortening import shortened
from conveyor_server.statuses import Code

# Runs of one call that are kept; a long stream has more.
MAX_RUNS: Final = 100


class Run(NamedTuple):
    """Rows of the call that ran together. `started` in seconds of `time.monotonic()`."""

    model: str
    version: str
    rows: int
    started: float
    preprocess_seconds: float
    queue_seconds: float
    compute_seconds: float
    # Rows of the batch, other callers' included.
    batch_size: int


@dataclass(slots=True, kw_only=True)
class CallRecord:
    """One call. `path` is "/package.Service/Method"."""

    path: str
    peer: str
    started: float = field(default_factory=time.monotonic)
    # The caller's own, or "".
    request_id: str = ""
    # As the request says: the version may be empty.
    model: str = ""
    version: str = ""
    runs: list[Run] = field(default_factory=list)
    # All of them, the ones that were not kept included.
    run_count: int = 0
    rows: int = 0
    # The rest is known at the end.
    ended: float = 0.0
    code: Code = Code.OK
    message: str = ""
    # In hexadecimal, where the call belongs to a trace.
    trace_id: str = ""

    def note_request(self, request: Any) -> None:
        """Takes over what the request's message says of itself; messages of either wire, and of the others."""
        self.model = shortened(getattr(request, "model_name", "") or getattr(request, "name", ""))
        self.version = shortened(getattr(request, "model_version", "") or getattr(request, "version", ""))
        own = self.request_id or getattr(request, "request_id", "") or getattr(request, "id", "")
        self.request_id = shortened(own)

    def note_run(self, run: Run) -> None:
        """Adds rows that have been answered."""
        self.run_count += 1
        self.rows += run.rows
        if len(self.runs) < MAX_RUNS:
            self.runs.append(run)

    def note_end(self, code: Code, message: str) -> None:
        """The call is over."""
        self.ended = time.monotonic()
        self.code, self.message = code, message


# The record of the call that this task works for.
CURRENT: Final[ContextVar[CallRecord | None]] = ContextVar("conveyor_call", default=None)


def note_run(model: str, version: str, arrived: float, preprocess_seconds: float, outcome: Outcome) -> None:
    """Tells the call's record, if there is one, that rows were answered which had arrived at `arrived`."""
    record = CURRENT.get()
    if record is not None:
        run = Run(
            model,
            version,
            len(outcome.output),
            arrived,
            preprocess_seconds,
            outcome.queue_seconds,
            outcome.compute_seconds,
            outcome.batch_size,
        )
        record.note_run(run)
