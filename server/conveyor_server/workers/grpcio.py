"""A worker that is a Python process with grpcio's server: how the parent starts one, and what runs in it.

`python -m conveyor_server.workers.grpcio` is the worker; only the parent starts it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from contextlib import suppress
from typing import Final

from conveyor_server.allocator import give_large_blocks_back
from conveyor_server.errors import StartError
from conveyor_server.importing import collector_paused
from conveyor_server.listening import Listening
from conveyor_server.running import exit_now_if_a_run_hangs, run_in_loop
from conveyor_server.signals import STOPPING
from conveyor_server.workers.link import VARIABLE, Link, open_inherited_link, open_link

# Seconds for a worker to end when told to; then it is killed.
END_SECONDS: Final = 5.0


class GrpcioLauncher:
    """Starts such workers."""

    async def start(self, listening: Listening) -> GrpcioProcess:
        """One more; it learns from its settings where to listen."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", __name__),
                env={**os.environ, VARIABLE: str(theirs.fileno())},
                pass_fds=(theirs.fileno(),),
                stdin=asyncio.subprocess.DEVNULL,
                # Away from the terminal's Ctrl-C, which is the parent's business.
                start_new_session=True,
            )
        return GrpcioProcess(process, await open_link(ours))

    def stillborn(self, how: str) -> StartError:
        """What is raised when the first worker dies before Python runs in it."""
        return StartError(f"a worker ended before it had begun ({how}).")


class GrpcioProcess:
    """A running worker."""

    def __init__(self, process: asyncio.subprocess.Process, link: Link) -> None:
        self._process = process
        self.link = link

    async def flush(self) -> None:
        """Nothing is left to wait for: grpcio has sent what it was given."""

    async def end(self) -> int:
        """Ends the process, which is done with its work or has no parent from now on; returns its exit code."""
        self.link.close()
        try:
            return await asyncio.wait_for(self._process.wait(), END_SECONDS)
        except TimeoutError:
            self.kill()
            return await self._process.wait()

    def kill(self) -> None:
        """At once."""
        with suppress(ProcessLookupError):
            self._process.kill()


async def _work() -> bool:
    with collector_paused():
        from conveyor_server.engines.grpcio_engine import GrpcioEngine
        from conveyor_server.workers.worker import Worker

    return await Worker(await open_inherited_link(), GrpcioEngine).run()


def main() -> int:
    """Lives as the parent says. Signals are the parent's, so that a whole group can be told to stop."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)
    give_large_blocks_back()
    code = 0 if run_in_loop(_work()) else 1
    exit_now_if_a_run_hangs(code)
    return code


if __name__ == "__main__":
    sys.exit(main())
