"""The load itself, in one process: a closed loop of a fixed number of requests under way, or an open loop at a rate.

The open loop times each request from the moment it was meant to be sent: a server (or a client) that falls behind
is charged for the wait, as callers who came at that moment would feel it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from conveyor_bench.answers import answers_of
from conveyor_bench.calls import Caller, caller_of
from conveyor_bench.connections import Connections
from conveyor_bench.recorder import Recorder
from conveyor_bench.workload import ClosedLoop, Loop, OpenLoop, Workload

_EXPIRY_SECONDS = 0.1
# Behind its schedule the open loop sends this many before it reads answers again.
_BURST = 64


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One run: what was recorded, how long it took, and the share of a core that its busiest process used."""

    recorder: Recorder
    seconds: float
    client_cpu: float
    processes: int = 1


class Load:
    """Sends a workload's requests in turn, without retries. Use with `async with`."""

    def __init__(self, workload: Workload) -> None:
        self.recorder = Recorder()
        self._workload = workload
        self._connections = Connections(workload.address, workload.connections)
        self._answers = answers_of(workload.method, len(workload.requests))
        self._caller: Caller = caller_of(workload, self._connections)
        self._sent = self._under_way = 0
        self._stopping = False
        self._idle = asyncio.Event()
        self._expiry: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Load:
        await self._connections.__aenter__()
        self._expiry = asyncio.create_task(self._expire())
        return self

    async def __aexit__(self, *exception: object) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
        await self._connections.__aexit__(*exception)

    def stop(self) -> None:
        """Sends nothing more; the run under way ends with the answers to what was sent."""
        self._stopping = True

    async def run(self, loop: Loop, duration: float) -> Measured:
        """Puts the load on for `duration` seconds, then waits for the last answers."""
        self.recorder, self._idle = Recorder(), asyncio.Event()
        began, cpu = time.perf_counter(), time.process_time()
        if isinstance(loop, ClosedLoop):
            self._closed(loop.concurrency, began + duration)
        else:
            await self._open(loop, duration)
        while self._under_way:
            self._idle.clear()  # it was set whenever nothing was under way between two sends
            await self._idle.wait()
        seconds = time.perf_counter() - began
        return Measured(recorder=self.recorder, seconds=seconds, client_cpu=(time.process_time() - cpu) / seconds)

    def _closed(self, concurrency: int, end: float) -> None:
        def again() -> None:
            now = time.perf_counter()
            if now < end and not self._stopping:
                self._begin(now, again)

        for _ in range(concurrency):
            again()

    async def _open(self, loop: OpenLoop, duration: float) -> None:
        start, unread = time.perf_counter(), 0
        for send_time in loop.send_times(duration):
            intended = start + send_time
            wait, unread = intended - time.perf_counter(), unread + 1
            if wait > 0 or unread >= _BURST:
                await asyncio.sleep(max(0.0, wait))
                unread = 0
            if self._stopping:
                return
            self.recorder.sent_late(max(0.0, time.perf_counter() - intended))
            self._begin(intended, None)

    def _begin(self, began: float, then: Callable[[], None] | None) -> None:
        number = self._sent % len(self._workload.requests)
        self._sent += 1
        self._under_way += 1

        def done(code: str, answer: bytes) -> None:
            if code == "OK":
                self.recorder.took(time.perf_counter() - began)
                self._answers.take(number, answer, self.recorder)
            else:
                self.recorder.failed(code)
            if then is not None:
                then()
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

        self._caller.begin(number, done)

    async def _expire(self) -> None:
        while True:
            await asyncio.sleep(_EXPIRY_SECONDS)
            self._caller.expire()
