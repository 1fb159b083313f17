"""Where a fault happens: a real server with a repository of its own, and callers who do not know of it."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import tritonclient.grpc as triton

from tests.chaos.answers import MODEL, RightAnswers
from tests.chaos.callers import Callers
from tests.server.envoy.test_workers import workers_of
from tests.server.process import ServerProcess

# Seconds that a load or an unload may take; a server that stands still would keep us for ever.
CONTROL_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Which server."""

    engine: str = "grpcio"
    workers: int = 1


@dataclass(kw_only=True)
class Scene:
    """A server under load."""

    setting: Setting
    server: ServerProcess
    repository: Path
    right: RightAnswers
    callers: Callers

    async def load(self) -> None:
        """Asks for the newest version, as an operator does. Raises InferenceServerException."""
        await asyncio.to_thread(self._control, "load")

    async def unload(self) -> None:
        """Asks for the model's end."""
        await asyncio.to_thread(self._control, "unload")

    async def wait_for_log(self, pattern: str) -> None:
        """Returns once the log has it. Raises TimeoutError when it does not get there."""
        try:
            await asyncio.to_thread(self.server.wait_for_log, pattern)
        except AssertionError as error:
            raise TimeoutError(f"{pattern!r} is not in the log") from error

    def processes(self) -> list[int]:
        """All of them, the parent first."""
        return [self.server.pid, *workers_of(self.server)]

    def signal_all(self, number: signal.Signals) -> None:
        """To every process that is there."""
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _control(self, what: str) -> None:
        with triton.InferenceServerClient(self.server.address) as client:
            if what == "load":
                client.load_model(MODEL, client_timeout=CONTROL_SECONDS)
            else:
                client.unload_model(MODEL, client_timeout=CONTROL_SECONDS)


@contextmanager
def environment(**values: str) -> Iterator[None]:
    """Variables for the processes that are started meanwhile."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
