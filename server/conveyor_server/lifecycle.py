"""A server's life: start, load, serve, drain. `run` is the table of contents."""

from __future__ import annotations

import asyncio
import logging
import os

from conveyor_server.allocator import give_large_blocks_back
from conveyor_server.importing import collector_paused, settle_collector
from conveyor_server.memory import require_memory
from conveyor_server.running import (
    configure_logging,
    exit_now_if_a_run_hangs,
    run_in_loop,
    take_file_descriptors,
    until,
)
from conveyor_server.settings import ServerSettings
from conveyor_server.signals import StopRequests, stop_requests

log = logging.getLogger(__name__)


def serve(settings: ServerSettings) -> int:
    """Serves until told to stop; returns the exit code. Raises ConveyorError when it cannot start."""
    # Read when grpcio is imported, here and in workers: else strangers at a TLS port fill the log in a form of its own.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    configure_logging(settings.log_level, settings.log_format)
    log.info("configuration %s", settings.in_words())
    require_memory()
    take_file_descriptors()
    code = run_in_loop(run(settings))
    exit_now_if_a_run_hangs(code)
    return code


async def run(settings: ServerSettings) -> int:
    """One server on the engine that was asked for. 0 when every accepted request was answered.

    Envoy always has this process as its parent. Without it this process serves itself, or is the parent of several.
    """
    with stop_requests() as stop:
        if settings.engine != "grpcio":
            with collector_paused():
                from conveyor_server.engines.envoy.able import EnvoyError
                from conveyor_server.engines.envoy.parent import EnvoyLauncher
                from conveyor_server.workers.supervisor import supervise

            try:
                return await supervise(settings, EnvoyLauncher(settings.log_format), stop)
            except EnvoyError as error:
                if settings.engine == "envoy":
                    raise
                log.info("serving with the engine grpcio: %s", error)
        if settings.workers > 1:
            from conveyor_server.workers.grpcio import GrpcioLauncher
            from conveyor_server.workers.supervisor import supervise

            return await supervise(settings, GrpcioLauncher(), stop)
        return await live(settings, stop)


async def live(settings: ServerSettings, stop: StopRequests) -> int:
    """The whole life of one server in this process. 0 when every accepted request was answered."""
    give_large_blocks_back()
    with collector_paused():
        # Heavy, and a process that only starts others does without.
        from conveyor_server.devices import device_options
        from conveyor_server.engines.grpcio_engine import GrpcioEngine
        from conveyor_server.providers import choose_provider
        from conveyor_server.server import Server
        from conveyor_server.workers.start import announce

    provider = await asyncio.to_thread(choose_provider, settings.device, device_options(settings, 0))
    settle_collector()
    server = Server(settings, provider, GrpcioEngine)

    async def begin() -> None:
        await server.start()
        report = await server.load()
        await server.until_open()
        announce(report, settings)
        await server.poll()

    try:
        await until(stop.first, begin())
        await stop.first.wait()
        await until(stop.second, server.drain())
        return 1 if server.unanswered else 0
    finally:
        await server.close()
