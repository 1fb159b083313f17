"""Dynamic batching: requests wait in one queue, a free instance takes what is there.

Work-conserving: nobody waits for company unless `max_queue_delay` says so. All state belongs to the event loop's
thread, so there is no lock; an instance only computes. What a request needs is in its own `PendingRequest`: a caller
that goes away, a deadline that passes or a batch that fails touches nobody else.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from conveyor_server.batch import (
    BACKGROUND_PRIORITY,
    DEFAULT_PRIORITY,
    Batch,
    Observer,
    Outcome,
    PendingRequest,
    Rows,
    Segment,
)
from conveyor_server.batch_errors import failed, late, unloaded
from conveyor_server.deadlines import DeadlineWatch, sooner
from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.instance import BatchResult, Instance
from conveyor_server.line_limit import LineLimit
from conveyor_server.request_queue import RequestQueue
from conveyor_server.statistics import Closing, Statistics

log = logging.getLogger(__name__)

# What a caller is told to wait at least when the queue is full, in milliseconds.
MIN_RETRY_MS = 10
# Turns of the event loop, a few microseconds in all, that a free instance looks out for more rows. Requests reach us
# one by one; without this each would run alone and pay for a change of threads (measured: 0.4 of a bare echo's
# requests/s in place of 0.55, with 64 in flight).
QUIET_TURNS = 4


@dataclass(frozen=True, kw_only=True)
class BatchLimits:
    """Sizes in rows, times in seconds."""

    max_batch_size: int
    max_queue_size: int
    max_queue_delay: float = 0.0
    # From a request's arrival, where its own deadline is not sooner; 0 for none.
    default_timeout: float = 0.0


class Batcher:
    """Merges callers' rows into batches for `instances`. Every method belongs to the event loop's thread."""

    def __init__(
        self,
        limits: BatchLimits,
        instances: Sequence[Instance],
        loop: asyncio.AbstractEventLoop,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        # Batches and answered requests are counted here, failed requests by whoever submits them.
        self.statistics = Statistics()
        self.observer: Observer | None = None
        self._limits = limits
        self._instances = instances
        self._free = list(instances)
        self._running: dict[Instance, Batch] = {}
        self._loop = loop
        self._clock = clock
        self._queue = RequestQueue()
        self._deadlines = DeadlineWatch(self._queue, loop, clock)
        self._admitted_rows = 0
        self._queued_rows = 0
        self._dispatch_scheduled = False
        self._company_timer: asyncio.TimerHandle | None = None
        self._usual_seconds = 0.0
        self._closed = False
        self._failures = LineLimit(clock)
        # There while somebody waits for the end of the work.
        self._idle: asyncio.Event | None = None

    def set_limits(self, limits: BatchLimits) -> None:
        """The limits from now on; what waits already stays."""
        self._limits = limits

    @property
    def limits(self) -> BatchLimits:
        """The limits that hold now."""
        return self._limits

    @property
    def instance_count(self) -> int:
        """Batches that may run at the same time."""
        return len(self._instances)

    @property
    def waiting_rows(self) -> int:
        """Rows that count against `max_queue_size`: admitted, and not yet in a batch."""
        return self._admitted_rows + self._queued_rows

    @property
    def in_flight(self) -> int:
        """Callers' requests that were submitted and are not answered; counted only when asked for."""
        running = (segment.request for batch in self._running.values() for segment in batch.segments)
        requests = {*self._queue, *running}
        return sum(not each.reply.done() and each.priority != BACKGROUND_PRIORITY for each in requests)

    @property
    def expected_wait(self) -> float:
        """Seconds until the sessions are done with the rows that wait now."""
        batches = self.waiting_rows / self._limits.max_batch_size / len(self._instances)
        held = 0.0 if self._company_timer is None else max(0.0, self._company_timer.when() - self._loop.time())
        return held + batches * self._usual_seconds

    def admit(self, rows: int) -> None:
        """Keeps room for rows that will be submitted. Raises ServingError at once when there is none."""
        limit = self._limits.max_queue_size
        if rows > limit:
            message = f"{rows} images in one request are over the limit of {limit} that may wait; send fewer at a time"
            raise ServingError(ErrorKind.INVALID_ARGUMENT, message)
        if self._admitted_rows + self._queued_rows + rows > limit:
            message = f"the queue is full: {self.waiting_rows} rows wait, and at most {limit} may; try again later"
            raise ServingError(ErrorKind.QUEUE_FULL, message, retry_after_ms=self._retry_after_ms())
        self._admitted_rows += rows

    def withdraw(self, rows: int) -> None:
        """Gives back the room of admitted rows that will not be submitted."""
        self._admitted_rows -= rows
        self._note_idle()

    async def run(
        self, rows: Rows, deadline: float | None, priority: int = DEFAULT_PRIORITY, arrived_at: float | None = None
    ) -> Outcome:
        """Runs admitted rows. Raises ServingError. May be cancelled at any time.

        `deadline`, and `arrived_at` where the rows took time to prepare, are in seconds of the clock.
        """
        size = len(rows)
        self._admitted_rows -= size
        if self._closed:
            raise unloaded()
        now = self._clock()
        arrived_at = now if arrived_at is None else arrived_at
        if self._limits.default_timeout and priority != BACKGROUND_PRIORITY:
            deadline = sooner(deadline, arrived_at + self._limits.default_timeout)
        reply: asyncio.Future[Outcome] = self._loop.create_future()
        request = PendingRequest(rows, reply, arrived_at, now, deadline, priority)
        self._queue.add(request)
        self._queued_rows += size
        if deadline is not None:
            self._deadlines.add(deadline, self._expire)
        if self._free and not self._dispatch_scheduled:
            self._schedule_dispatch()
        try:
            return await reply
        except asyncio.CancelledError:
            self._leave_queue(request)
            raise
        finally:
            # An error that the reply holds would hold this frame, and with it the rows, until the collector comes.
            del reply, request

    async def wait_idle(self) -> None:
        """Returns when nothing is admitted, queued or running; to be called when no more requests come."""
        if not self._is_idle:
            self._idle = asyncio.Event()
            await self._idle.wait()

    def close(self) -> None:
        """Refuses whoever still waits, and ends each instance after the batch that it runs."""
        self._closed = True
        self._deadlines.close()
        for request in list(self._queue):
            self._fail(request, unloaded())
        for instance in self._instances:
            instance.close()

    def _schedule_dispatch(self) -> None:
        self._dispatch_scheduled = True
        self._loop.call_soon(self._look_for_company, 0, QUIET_TURNS)

    def _look_for_company(self, seen_rows: int, turns: int) -> None:
        """Dispatches once the loop has gone some turns without bringing rows: what arrives together runs together."""
        if turns == 0 or self._queued_rows >= self._limits.max_batch_size:
            self._dispatch(Closing.ARRIVAL)
        elif self._queued_rows > seen_rows:
            self._loop.call_soon(self._look_for_company, self._queued_rows, QUIET_TURNS)
        else:
            self._loop.call_soon(self._look_for_company, seen_rows, turns - 1)

    def _dispatch(self, closing: Closing) -> None:
        """`closing` says what lets a batch go that is not full."""
        self._dispatch_scheduled = False
        while self._free and self._queue and not self._waits_for_company():
            batch = self._form_batch()
            if batch.segments:
                self._note_closed(batch, closing)
                instance = self._free.pop()
                self._running[instance] = batch
                instance.start(batch, partial(self._batch_done, instance))

    def _note_closed(self, batch: Batch, closing: Closing) -> None:
        if batch.is_background:
            closing = Closing.BACKGROUND
        elif batch.size >= self._limits.max_batch_size:
            closing = Closing.FULL
        elif self._limits.max_queue_delay > 0.0:
            closing = Closing.DELAY
        self.statistics.closed[closing] += 1

    def _waits_for_company(self) -> bool:
        if self._company_timer is not None:
            self._company_timer.cancel()
            self._company_timer = None
        delay = self._limits.max_queue_delay
        if delay <= 0.0 or self._queued_rows >= self._limits.max_batch_size:
            return False
        remaining = self._queue.oldest_submission() + delay - self._clock()
        if remaining <= 0.0:
            return False
        self._company_timer = self._loop.call_later(remaining, self._dispatch, Closing.DELAY)
        return True

    def _form_batch(self) -> Batch:
        now = self._clock()
        queue = self._queue
        size, most = 0, self._limits.max_batch_size
        segments: list[Segment] = []
        while size < most and queue:
            request = queue.first()
            if request.reply.done():
                self._leave_queue(request)
                continue
            if request.deadline is not None and request.deadline <= now:
                self._expire(request)
                continue
            alone = request.priority == BACKGROUND_PRIORITY
            if alone and segments:
                break
            segment = request.take(most - size, now)
            segments.append(segment)
            size += segment.stop - segment.start
            if segment.stop == len(request.rows):
                queue.remove(request)
            if alone:
                break
        self._queued_rows -= size
        return Batch(segments=segments, size=size)

    def _batch_done(self, instance: Instance, batch: Batch, result: BatchResult) -> None:
        del self._running[instance]
        self._free.append(instance)
        # The next batch first, so that the session works while these are answered.
        self._dispatch(Closing.SESSION_FREE)
        self._note_idle()
        self._usual_seconds += (result.compute_seconds - self._usual_seconds) / 8
        try:
            if isinstance(result.output, Exception):
                raise result.output
            outputs = batch.split(result.output)
        except Exception as error:
            self._failures.write_error(log, error, "a batch of %d rows failed", batch.size)
            for segment in batch.segments:
                self._fail(segment.request, failed())
            self._observe(batch, None, result.compute_seconds)
            return
        answered = []
        for segment, output in zip(batch.segments, outputs, strict=True):
            request = segment.request
            outcome = request.add_output(segment.start, output, result.compute_seconds, batch.size)
            if outcome is not None and not request.reply.done():
                request.reply.set_result(outcome)
                answered.append(request)
        if not batch.is_background:
            self.statistics.add_batch(batch.size, result.compute_seconds)
            self.statistics.add_answered(answered, result.compute_seconds, self._clock())
        self._observe(batch, result.output, result.compute_seconds)

    def _observe(self, batch: Batch, output: Rows | None, compute_seconds: float) -> None:
        if self.observer is not None and not batch.is_background:
            self.observer.observe(batch, output, compute_seconds)

    def _expire(self, request: PendingRequest) -> None:
        self._fail(request, late(request))

    @property
    def _is_idle(self) -> bool:
        return not self.waiting_rows and len(self._free) == len(self._instances)

    def _note_idle(self) -> None:
        if self._idle is not None and self._is_idle:
            self._idle.set()

    def _fail(self, request: PendingRequest, error: ServingError) -> None:
        self._leave_queue(request)
        if not request.reply.done():
            request.reply.set_exception(error)

    def _leave_queue(self, request: PendingRequest) -> None:
        if request in self._queue:
            self._queue.remove(request)
            self._queued_rows -= request.waiting
            self._note_idle()

    def _retry_after_ms(self) -> int:
        return max(MIN_RETRY_MS, round(1000 * self.expected_wait))
