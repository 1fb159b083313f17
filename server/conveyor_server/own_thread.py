"""Work in a thread of its own, which may be left behind: one that hangs keeps neither the loop nor the end waiting."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from conveyor_server.running import THREAD_PREFIX

T = TypeVar("T")


async def in_own_thread(name: str, work: Callable[[], T]) -> T:
    """What `work` returns or raises. When this is cancelled, the work goes on and what it makes is dropped."""
    loop = asyncio.get_running_loop()
    result: asyncio.Future[T] = loop.create_future()

    def deliver(value: T | None, error: Exception | None) -> None:
        if result.done():
            return
        if error is None:
            result.set_result(value)  # type: ignore[arg-type]  # None only where T allows it
        else:
            result.set_exception(error)

    def run() -> None:
        value, error = None, None
        try:
            value = work()
        except Exception as raised:
            error = raised
        # The loop may be closed by now: nobody is left to be told.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(deliver, value, error)

    # A daemon, and of a name that is known at the end: see `exit_now_if_a_run_hangs`.
    threading.Thread(target=run, name=THREAD_PREFIX + name, daemon=True).start()
    return await result
