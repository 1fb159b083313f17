"""The process that starts Envoy, and outlives it: it owns the signals, the port and the configuration."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from conveyor_server.engines.envoy.able import EnvoyError, environment, executable
from conveyor_server.engines.envoy.admin import until_flushed
from conveyor_server.engines.envoy.channel import STOP, VARIABLE, Channel, Report, Stage, open_channel
from conveyor_server.engines.envoy.configuration import APPLICATION, envoy_configuration, python_filters
from conveyor_server.errors import StartError
from conveyor_server.listening import Listening, ensure_free
from conveyor_server.settings import ServerSettings
from conveyor_server.signals import StopRequests

log = logging.getLogger(__name__)

# Seconds for the last answers to leave Envoy once the server inside is done.
FLUSH_SECONDS: Final = 5.0
# Seconds for Envoy, or for the server inside, to end when told to; then it is killed.
END_SECONDS: Final = 5.0
LOG_FORMAT: Final = "%Y-%m-%d %T,%e %l envoy: %v"


async def serve_through_envoy(settings: ServerSettings, stop: StopRequests) -> int:
    """A server's whole life inside Envoy; returns the exit code.

    Raises EnvoyError when Envoy does not run here, and StartError with the reason when the server cannot start.
    """
    program = executable()
    with _hold_port(settings.host, settings.port) as held, TemporaryDirectory(prefix="conveyor-") as folder:
        host, port = held.getsockname()[:2]
        listening = Listening(host=host, port=port, max_message_bytes=settings.max_message_bytes)
        envoy = await _start(program, listening, Path(folder))
        try:
            inside = settings.model_copy(update={"port": port})
            await envoy.channel.write_line(inside.model_dump_json().encode() + b"\n")
            return await envoy.accompany(stop)
        finally:
            await envoy.end()


@dataclass(kw_only=True)
class Envoy:
    """A running Envoy, and the channel to the server inside."""

    process: asyncio.subprocess.Process
    channel: Channel
    admin_socket: Path

    async def accompany(self, stop: StopRequests) -> int:
        """Passes the requests to stop on, and returns the server's exit code when it has ended in order."""
        forwarder = asyncio.create_task(self._forward(stop))
        alive = False
        try:
            while line := await self.channel.read_line():
                report = Report.from_line(line)
                alive = True
                if report.stage is Stage.FAILED:
                    raise StartError(report.reason)
                if report.stage is Stage.ENDED:
                    await self._flush()
                    return report.exit_code
        finally:
            forwarder.cancel()
        how = f"Envoy ended unexpectedly (exit code {await self.process.wait()}); the log above may say why."
        raise StartError(how) if alive else EnvoyError(how)

    async def end(self) -> None:
        """Ends Envoy's process."""
        self.channel.writer.close()
        with suppress(ProcessLookupError):
            self.process.terminate()
        try:
            await asyncio.wait_for(self.process.wait(), END_SECONDS)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()

    async def _forward(self, stop: StopRequests) -> None:
        await stop.first.wait()
        await self.channel.write_line(STOP)
        await stop.second.wait()
        await self.channel.write_line(STOP)
        await asyncio.sleep(END_SECONDS)
        self.process.kill()

    async def _flush(self) -> None:
        try:
            async with asyncio.timeout(FLUSH_SECONDS):
                await until_flushed(self.admin_socket)
        except (TimeoutError, OSError):
            log.warning("some answers may not have left Envoy", exc_info=True)


async def _start(program: str, listening: Listening, folder: Path) -> Envoy:
    configuration, admin_socket = folder / "envoy.json", folder / "admin.sock"
    configuration.write_text(json.dumps(envoy_configuration(listening, python_filters(APPLICATION), admin_socket)))
    ours, theirs = socket.socketpair()
    with theirs:
        process = await asyncio.create_subprocess_exec(
            *(program, "--config-path", str(configuration), "--disable-hot-restart", "--concurrency", "1"),
            # Its main component says at length, as a warning, that it was told to stop.
            *("--log-level", "warning", "--component-log-level", "main:error", "--log-format", LOG_FORMAT),
            env={**environment(), VARIABLE: str(theirs.fileno())},
            pass_fds=(theirs.fileno(),),
            stdin=asyncio.subprocess.DEVNULL,
            # Away from the terminal's Ctrl-C, which would cut what is in flight.
            start_new_session=True,
        )
    return Envoy(process=process, channel=await open_channel(ours), admin_socket=admin_socket)


def _hold_port(host: str, port: int) -> socket.socket:
    """A socket that keeps the port for Envoy, which binds it too. Raises StartError when it is taken.

    It never listens, so no connection comes to it; without it a free port could be lost before Envoy has it.
    """
    ensure_free(host, port)
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    held = socket.socket(family, kind, protocol)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    held.bind(address)
    return held
