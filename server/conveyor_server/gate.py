"""Who may still come in, and when the last has left: what a drain needs to know of the calls in flight."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import TracebackType

from conveyor_server.errors import ErrorKind, ServingError

# Seconds without a new call after which no more are expected from connections that were still being taken.
QUIET_SECONDS = 0.1
# Seconds after which those who knock all the same are sent away: only the end of their connection moves them.
MAX_KNOCKING_SECONDS = 0.5


class Gate:
    """Every call that does work passes through `with gate:`; once closed, it refuses with STOPPING."""

    def __init__(self) -> None:
        self._inside = 0
        # As `closed`, but quicker to ask.
        self.is_closed = False
        self.closed = asyncio.Event()
        self._knocked = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def inside(self) -> int:
        """Calls accepted and not yet answered."""
        return self._inside

    def __enter__(self) -> None:
        if self.is_closed:
            self._knocked.set()
            raise stopping()
        self._inside += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._inside -= 1
        if self._inside == 0 and self.is_closed:
            self._empty.set()

    def close(self) -> None:
        """From now on refuses; those inside stay."""
        self.is_closed = True
        self.closed.set()
        if self._inside:
            self._empty.clear()

    async def wait_quiet(self) -> None:
        """After `close`: returns when all have left, and none has knocked for QUIET_SECONDS or they will not stop."""
        await self._empty.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(MAX_KNOCKING_SECONDS):
                while True:
                    self._knocked.clear()
                    async with asyncio.timeout(QUIET_SECONDS):
                        await self._knocked.wait()


def stopping() -> ServingError:
    """What a stopping server answers to new work."""
    return ServingError(ErrorKind.STOPPING, "the server is stopping and takes no new requests; try another one")
