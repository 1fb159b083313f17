"""Models whose place was taken: they finish what they accepted, and then give their memory back."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import logging
from collections.abc import Callable

from conveyor_server.model import Model

log = logging.getLogger(__name__)


class Retirement:
    """The models that are on their way out."""

    def __init__(self, drain_timeout: float) -> None:
        """`drain_timeout` in seconds for each model."""
        self._drain_timeout = drain_timeout
        self._models: dict[asyncio.Task[None], Model] = {}

    def add(self, model: Model, done: Callable[[int], None]) -> None:
        """Lets the model finish, ends its threads and calls `done` with its version."""
        task = asyncio.create_task(self._finish(model, done))
        self._models[task] = model
        task.add_done_callback(self._forget)

    def models(self) -> list[Model]:
        """Those that are not done yet."""
        return list(self._models.values())

    def close(self) -> None:
        """Ends all of them now."""
        for task in list(self._models):
            task.cancel()

    async def _finish(self, model: Model, done: Callable[[int], None]) -> None:
        try:
            async with asyncio.timeout(self._drain_timeout):
                await model.batcher.wait_idle()
        except TimeoutError:
            log.warning("unloading timed out model=%s version=%d", model.name, model.version)
        model.batcher.close()
        done(model.version)
        log.info("unloaded model=%s version=%d", model.name, model.version)
        # What still runs comes back, or is given up as hanging.
        await model.batcher.wait_idle()

    def _forget(self, task: asyncio.Task[None]) -> None:
        del self._models[task]
        if not task.cancelled():
            # The thread that owned the session needs a moment to let go of it.
            asyncio.get_running_loop().call_later(1.0, _give_memory_back)


def _give_memory_back() -> None:
    """Without this the C library keeps what a model took, for the next one."""
    gc.collect()
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    except (OSError, AttributeError):
        log.debug("this C library cannot give memory back")
