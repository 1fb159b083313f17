"""What every process of a server does around its work: the log, the loop, and waiting for two things at once."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


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


def configure_logging(level: str, worker: int | None = None) -> None:
    """Our log goes to stderr, one line an event, with the worker's number; other libraries speak up only to warn."""
    who = "" if worker is None else f"worker={worker} "
    logging.basicConfig(stream=sys.stderr, format=f"%(asctime)s %(levelname)s {who}%(message)s", level=logging.WARNING)
    logging.getLogger("conveyor_server").setLevel(level.upper())
