"""One line for a share of the calls, and for each that fails, up to a limit: enough to find a request again."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from typing import Any

from conveyor_server.line_limit import LineLimit
from conveyor_server.log_format import Fields
from conveyor_server.tracing.record import CallRecord

log = logging.getLogger(__name__)


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
        self._failures = LineLimit(clock)

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
