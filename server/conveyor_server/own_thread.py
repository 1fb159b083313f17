"""Work in a thread of its own, which may be left behind: one that hangs keeps neither the loop nor the end waiting."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

from conveyor_server.running import THREAD_PREFIX

T = TypeVar("T")


async def in_own_thread(name: str, work: Callable[[], T]) -> T:
    """What `work` returns or raises. When this is cancelled, the work goes on and what it makes is dropped."""
    loop = asyncio.get_running_loop()
    result: asyncio.Future[T] = loop.create_future()
    # A daemon, and of a name that is known at the end: see `exit_now_if_a_run_hangs`.
    thread = threading.Thread(target=_run, args=(work, loop, result), name=THREAD_PREFIX + name, daemon=True)
    thread.start()
    try:
        return await result
    finally:
        # An error's traceback holds its frames. Would they hold the error too, all stayed until the collector comes,
        # which is late, and with it what the frames below hold: the file that could not be loaded, open.
        del result


def _run(work: Callable[[], T], loop: asyncio.AbstractEventLoop, result: asyncio.Future[T]) -> None:
    try:
        value = work()
    except Exception as error:
        deliver: Callable[[], None] = partial(_fail, result, error)
    else:
        deliver = partial(_succeed, result, value)
    # The loop may be closed by now: nobody is left to be told.
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(deliver)
    # As above.
    del result, deliver


def _succeed(result: asyncio.Future[T], value: T) -> None:
    if not result.done():
        result.set_result(value)


def _fail(result: asyncio.Future[T], error: Exception) -> None:
    if not result.done():
        result.set_exception(error)
