"""One line for a share of the calls, and for each that fails, up to a limit: enough to find a request again."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from typing import Any, Final

from conveyor_server.log_format import Fields
from conveyor_server.statuses import Code
from conveyor_server.tracing.record import CallRecord

log = logging.getLogger(__name__)

# Of each code; the next line says how many were left out.
MAX_FAILURES_PER_SECOND: Final = 10


class AccessLog:
    """Chooses calls, and writes about them."""

    def __init__(
        self,
        share: float,
        chance: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`share` of all calls, 0 to 1."""
        self._share = share
        self._chance = chance
        self._failures = _Limit(clock)

    def chooses(self) -> bool:
        """Whether the next call is written about, whatever becomes of it."""
        return self._chance() < self._share

    def write(self, record: CallRecord) -> None:
        """A call that was chosen."""
        log.info("call %s", Fields(_fields(record)))

    def write_failure(self, record: CallRecord) -> None:
        """A call that was not chosen and failed; written unless too many of its code were."""
        left_out = self._failures.allows(record.code)
        if left_out is not None:
            more = {"left_out": left_out} if left_out else {}
            log.info("call %s", Fields(_fields(record) | more))


class _Limit:
    """So many lines a second of each code."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._second = 0
        self._written: dict[Code, int] = {}
        self._left_out: dict[Code, int] = {}

    def allows(self, code: Code) -> int | None:
        """None for a line that is left out, else how many were since the last one of its code."""
        second = int(self._clock())
        if second != self._second:
            self._second = second
            self._written.clear()
        written = self._written.get(code, 0)
        if written >= MAX_FAILURES_PER_SECOND:
            self._left_out[code] = self._left_out.get(code, 0) + 1
            return None
        self._written[code] = written + 1
        return self._left_out.pop(code, 0)


def _fields(record: CallRecord) -> dict[str, Any]:
    """What a line says; times in milliseconds, of several runs the longest."""
    fields: dict[str, Any] = {
        "method": record.path,
        "code": record.code.name,
        "ms": _milliseconds(record.ended - record.started),
        "request_id": record.request_id,
        "peer": record.peer,
    }
    if runs := record.runs:
        fields |= {
            "model": runs[-1].model,
            "version": runs[-1].version,
            "rows": record.rows,
            "batch_rows": max(run.batch_size for run in runs),
            "preprocess_ms": _milliseconds(max(run.preprocess_seconds for run in runs)),
            "queue_ms": _milliseconds(max(run.queue_seconds for run in runs)),
            "compute_ms": _milliseconds(max(run.compute_seconds for run in runs)),
        }
    elif record.model:
        fields |= {"model": record.model, "version": record.version}
    if record.run_count > 1:
        fields["runs"] = record.run_count
    if record.trace_id:
        fields["trace_id"] = record.trace_id
    if record.message:
        fields["error"] = record.message
    return fields


def _milliseconds(seconds: float) -> float:
    return round(1000 * seconds, 3)
