"""One thread that owns one session and runs one batch at a time.

A thread that waits on a queue costs less per batch than an executor, and the session is never used by two threads.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from conveyor_server.batch import Batch, Rows
from conveyor_server.running import THREAD_PREFIX


class Runnable(Protocol):
    """What a session must be able to do."""

    def run(self, rows: Rows) -> Rows:
        """Rows of the model's input to as many rows of its output."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchResult:
    """What became of a batch: its output (rows, values), or the error that it raised; the run's length in seconds."""

    output: Rows | Exception
    compute_seconds: float


# Called with the batch that was started and its result.
Done = Callable[[Batch, BatchResult], None]


class Instance(Protocol):
    """What the batcher needs of an instance."""

    def start(self, batch: Batch, done: Done) -> None:
        """Runs the batch and then calls `done` in the event loop's thread. One batch at a time."""

    def close(self) -> None:
        """Ends the instance once its batch is done; never waits."""


@dataclass(frozen=True, slots=True)
class _Work:
    batch: Batch
    done: Done


@dataclass(frozen=True, slots=True)
class _Errand:
    work: Callable[[], None]
    done: Callable[[Exception | None], None]


class _Stop:
    """Tells the thread to end."""


_STOP: Final = _Stop()


class ThreadInstance:
    """Runs batches on `session` in a thread of its own, and reports to `loop` with one call per batch."""

    def __init__(self, session: Runnable, loop: asyncio.AbstractEventLoop, name: str) -> None:
        self._session = session
        self._loop = loop
        self._work: queue.SimpleQueue[_Work | _Errand | _Stop] = queue.SimpleQueue()
        # A daemon: a run that hangs must not keep the process from ending.
        threading.Thread(target=self._serve, name=THREAD_PREFIX + name, daemon=True).start()

    def start(self, batch: Batch, done: Done) -> None:
        """Hands the batch over; returns at once."""
        self._work.put(_Work(batch, done))

    async def do(self, work: Callable[[], None]) -> None:
        """Has the thread do something else than a batch; raises what that raises."""
        finished: asyncio.Future[None] = self._loop.create_future()

        def note(error: Exception | None) -> None:
            if finished.done():
                return
            if error is None:
                finished.set_result(None)
            else:
                finished.set_exception(error)

        self._work.put(_Errand(work, note))
        await finished

    def close(self) -> None:
        """Lets the thread end once it is idle."""
        self._work.put(_STOP)

    def _serve(self) -> None:
        while True:
            work = self._work.get()
            if isinstance(work, _Stop):
                return
            try:
                if isinstance(work, _Errand):
                    self._loop.call_soon_threadsafe(work.done, _error_of(work.work))
                else:
                    self._loop.call_soon_threadsafe(work.done, work.batch, self._run(work.batch))
            except RuntimeError:
                # The loop was closed meanwhile: nobody is left to answer.
                return

    def _run(self, batch: Batch) -> BatchResult:
        started = time.perf_counter()
        output: Rows | Exception
        try:
            output = self._session.run(batch.merge())
        except Exception as error:
            output = error
        return BatchResult(output=output, compute_seconds=time.perf_counter() - started)


def _error_of(work: Callable[[], None]) -> Exception | None:
    try:
        work()
    except Exception as error:
        return error
    return None
