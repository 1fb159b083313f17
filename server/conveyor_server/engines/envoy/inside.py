"""The server inside Envoy's process: an ASGI application, and the same life as with any other engine.

Signals belong to Envoy in here, so the parent process passes them on through the channel.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from typing import Any, Final

from conveyor_contract.errors import ConveyorError
from conveyor_server.calls import MethodTable
from conveyor_server.engines import MakeEngine
from conveyor_server.engines.envoy.asgi import AsgiEngine
from conveyor_server.engines.envoy.call import Receive, Scope, Send
from conveyor_server.engines.envoy.channel import Channel, Report, Stage, open_inherited_channel
from conveyor_server.lifecycle import configure_logging, live
from conveyor_server.listening import Listening
from conveyor_server.settings import ServerSettings
from conveyor_server.signals import StopRequests

log = logging.getLogger(__name__)

# Where ASGI keeps what its calls share.
ENGINE: Final = "engine"


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """What Envoy calls: once for the server's life, and once for each request."""
    if scope["type"] == "http":
        engine: AsgiEngine = scope["state"][ENGINE]
        await engine.handle(scope, receive, send)
    else:
        await _lifespan(scope["state"], receive, send)


async def _lifespan(state: dict[str, Any], receive: Receive, send: Send) -> None:
    await receive()
    channel = await open_inherited_channel()
    await channel.write_line(Report(stage=Stage.ALIVE).to_line())
    settings = ServerSettings.model_validate_json(await channel.read_line())
    configure_logging(settings.log_level)
    stop = StopRequests()
    engine_made = asyncio.Event()

    def make_engine(methods: MethodTable, listening: Listening) -> AsgiEngine:
        engine = AsgiEngine(methods, listening)
        state[ENGINE] = engine
        engine_made.set()
        return engine

    listener = asyncio.create_task(_pass_on_stops(channel, stop))
    life = asyncio.create_task(_live(settings, make_engine, stop))
    await _first_of(life, asyncio.create_task(engine_made.wait()))
    if engine_made.is_set():
        # Now Envoy opens the port, and the life goes on with loading.
        await send({"type": "lifespan.startup.complete"})
        shutdown = asyncio.ensure_future(receive())
        await _first_of(life, shutdown)
        if shutdown.done():
            # Somebody stopped Envoy itself: nothing can be finished any more.
            stop.first.set()
            stop.second.set()
    await channel.write_line((await life).to_line())
    if listener.done():
        # The parent has gone, and nobody else would stop Envoy.
        os.kill(os.getpid(), signal.SIGTERM)
    listener.cancel()
    if not engine_made.is_set():
        await send({"type": "lifespan.startup.failed", "message": "see above"})
    else:
        await shutdown
        await send({"type": "lifespan.shutdown.complete"})


async def _first_of(*tasks: asyncio.Future[Any]) -> None:
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)


async def _live(settings: ServerSettings, make_engine: MakeEngine, stop: StopRequests) -> Report:
    try:
        return Report(stage=Stage.ENDED, exit_code=await live(settings, make_engine, stop))
    except ConveyorError as error:
        return Report(stage=Stage.FAILED, reason=str(error))
    except Exception:
        log.exception("unexpected error")
        return Report(stage=Stage.FAILED, reason="The server stopped on an unexpected error; its log has the cause.")


async def _pass_on_stops(channel: Channel, stop: StopRequests) -> None:
    """Ends when the parent has gone, which counts as being told to stop."""
    while await channel.read_line():
        (stop.second if stop.first.is_set() else stop.first).set()
    stop.first.set()
