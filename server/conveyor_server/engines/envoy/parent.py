"""How the parent process starts an Envoy with the server inside, and ends it when nothing is left to be sent."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from conveyor_server.doors.file_watch import FileWatch
from conveyor_server.engines.envoy import admin
from conveyor_server.engines.envoy.able import EnvoyError, environment, executable
from conveyor_server.engines.envoy.configuration import (
    APPLICATION,
    admin_socket_in,
    envoy_configuration,
    python_filters,
)
from conveyor_server.engines.envoy.secrets import write_secrets
from conveyor_server.listening import Listening
from conveyor_server.log_format import LogFormat
from conveyor_server.workers.link import VARIABLE, Link, open_link

log = logging.getLogger(__name__)

# Seconds for the last answers to leave Envoy once the server inside is done.
FLUSH_SECONDS: Final = 5.0
# Seconds for Envoy, or for the server inside, to end when told to; then it is killed.
END_SECONDS: Final = 5.0
# Envoy's own lines beside ours, in the same form.
LOG_FORMATS: Final[Mapping[LogFormat, str]] = {
    "text": "%Y-%m-%d %T,%e %l envoy: %v",
    "json": '{"time": "%Y-%m-%dT%T.%e", "level": "%l", "logger": "envoy", "message": "%j"}',
}


class EnvoyLauncher:
    """Starts workers that are Envoys with the server inside. Raises EnvoyError where none can run."""

    def __init__(self, log_format: LogFormat) -> None:
        self._log_format = log_format

    async def start(self, listening: Listening) -> EnvoyProcess:
        """One more, with its configuration in a folder of its own."""
        folder = TemporaryDirectory(prefix="conveyor-")
        try:
            return await _start(executable(), listening, folder, self._log_format)
        except BaseException:
            folder.cleanup()
            raise

    def stillborn(self, how: str) -> EnvoyError:
        """Envoy runs, but Python does not run in it."""
        return EnvoyError(f"Envoy ended before the server in it had begun ({how}); the log above may say why.")


class EnvoyProcess:
    """A running Envoy, and the link to the server inside."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        link: Link,
        folder: TemporaryDirectory[str],
        certificates: FileWatch | None,
    ) -> None:
        self._process = process
        self._watching = None if certificates is None else asyncio.create_task(certificates.run())
        self._folder = folder
        self.link = link

    async def flush(self) -> None:
        """Waits until the last answers have left Envoy."""
        try:
            async with asyncio.timeout(FLUSH_SECONDS):
                await admin.until_flushed(admin_socket_in(Path(self._folder.name)))
        except (TimeoutError, OSError):
            log.warning("some answers may not have left Envoy", exc_info=True)

    async def end(self) -> int:
        """Ends Envoy's process, and removes its folder; returns the exit code."""
        self.link.close()
        if self._watching is not None:
            self._watching.cancel()
        with suppress(ProcessLookupError):
            self._process.terminate()
        try:
            return await asyncio.wait_for(self._process.wait(), END_SECONDS)
        except TimeoutError:
            self.kill()
            return await self._process.wait()
        finally:
            self._folder.cleanup()

    def kill(self) -> None:
        """At once."""
        with suppress(ProcessLookupError):
            self._process.kill()


async def _start(
    program: str, listening: Listening, folder: TemporaryDirectory[str], log_format: LogFormat
) -> EnvoyProcess:
    configuration = Path(folder.name) / "envoy.json"
    filters = python_filters(APPLICATION)
    watch = None
    if (files := listening.tls) is not None:
        secrets = Path(folder.name)
        watch = FileWatch("certificate", files.paths, lambda: write_secrets(secrets, files))
        write_secrets(secrets, files)
    configuration.write_text(json.dumps(envoy_configuration(listening, filters, Path(folder.name))))
    admin_socket = admin_socket_in(Path(folder.name))
    ours, theirs = socket.socketpair()
    with theirs:
        process = await asyncio.create_subprocess_exec(
            *(program, "--config-path", str(configuration), "--disable-hot-restart", "--concurrency", "1"),
            # Its main component says at length, as a warning, that it was told to stop.
            *("--log-level", "warning", "--component-log-level", "main:error", "--log-format", LOG_FORMATS[log_format]),
            env={**environment(), VARIABLE: str(theirs.fileno()), admin.VARIABLE: str(admin_socket)},
            pass_fds=(theirs.fileno(),),
            stdin=asyncio.subprocess.DEVNULL,
            # Away from the terminal's Ctrl-C, which would cut what is in flight.
            start_new_session=True,
        )
    return EnvoyProcess(process, await open_link(ours), folder, watch)
