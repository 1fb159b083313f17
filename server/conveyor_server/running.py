"""What every process of a server does around its work: the log, the loop, and waiting for two things at once."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import sys
import threading
import time
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from conveyor_server.log_format import LogFormat, formatter

log = logging.getLogger(__name__)

T = TypeVar("T")

# Of the names of the threads that run sessions.
THREAD_PREFIX = "conveyor session "
# Seconds for threads that were told to end.
LAST_SECONDS = 1.0


async def until(event: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Waits for the work, and abandons it when the event comes first."""
    task = asyncio.create_task(work)
    waiter = asyncio.create_task(event.wait())
    try:
        await asyncio.wait((task, waiter), return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiter.cancel()
        task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def run_in_loop(main: Coroutine[Any, Any, T]) -> T:
    """Runs on uvloop where it is installed, else on asyncio's own loop."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main)
    return uvloop.run(main)


def take_file_descriptors() -> None:
    """Takes as many as this process may have, and its workers after it: each connection needs one, and what a system
    gives unasked is often 1,024."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    # Some systems name a limit that they do not grant.
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def exit_now_if_a_run_hangs(code: int) -> None:
    """Ends the process with the code when a session is still at work: Python's own end would abort in its midst."""
    end = time.monotonic() + LAST_SECONDS
    for thread in threading.enumerate():
        if thread.name.startswith(THREAD_PREFIX):
            thread.join(max(0.0, end - time.monotonic()))
            if thread.is_alive():
                log.warning("leaving a run that hangs behind: %s", thread.name)
                sys.stderr.flush()
                os._exit(code)


def configure_logging(level: str, form: LogFormat, worker: int | None = None) -> None:
    """Our log goes to stderr, one line an event, with the worker's number; other libraries speak up only to warn."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter(form, worker))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    logging.getLogger("conveyor_server").setLevel(level.upper())
