"""A server's life: start, load, serve, drain. `run` is the table of contents."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from conveyor_server.engines import MakeEngine
from conveyor_server.settings import ServerSettings
from conveyor_server.signals import StopRequests, stop_requests

log = logging.getLogger(__name__)


def serve(settings: ServerSettings) -> int:
    """Serves until told to stop; returns the exit code. Raises ConveyorError when it cannot start."""
    configure_logging(settings.log_level)
    return run_in_loop(run(settings))


async def run(settings: ServerSettings) -> int:
    """One server on the engine that was asked for. 0 when every accepted request was answered."""
    with stop_requests() as stop:
        if settings.engine != "grpcio":
            from conveyor_server.engines.envoy.able import EnvoyError
            from conveyor_server.engines.envoy.parent import serve_through_envoy

            try:
                return await serve_through_envoy(settings, stop)
            except EnvoyError as error:
                if settings.engine == "envoy":
                    raise
                log.info("serving with the engine grpcio: %s", error)
        from conveyor_server.engines.grpcio_engine import GrpcioEngine

        return await live(settings, GrpcioEngine, stop)


async def live(settings: ServerSettings, make_engine: MakeEngine, stop: StopRequests) -> int:
    """The whole life of one server. 0 when every accepted request was answered."""
    # Heavy, and a process that only starts Envoy does without.
    from conveyor_server.providers import choose_provider
    from conveyor_server.server import Server

    provider = await asyncio.to_thread(choose_provider, settings.device)
    server = Server(settings, provider, make_engine)
    try:
        await server.start()
        await until(stop.first, server.load())
        await stop.first.wait()
        await until(stop.second, server.drain())
        return 1 if server.unanswered else 0
    finally:
        await server.close()


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


def run_in_loop(main: Coroutine[Any, Any, int]) -> int:
    """Runs on uvloop where it is installed, else on asyncio's own loop."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main)
    return uvloop.run(main)


def configure_logging(level: str) -> None:
    """Our log goes to stderr, one line an event; other libraries speak up only to warn."""
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
    logging.getLogger("conveyor_server").setLevel(level.upper())
