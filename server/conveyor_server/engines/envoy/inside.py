"""The server inside Envoy's process: an ASGI application, and the same life as with any other engine.

Signals belong to Envoy in here, so the parent process passes them on through the link.
"""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any, Final

from conveyor_server.importing import collector_paused

with collector_paused():
    from conveyor_server.calls import MethodTable
    from conveyor_server.engines.envoy import admin
    from conveyor_server.engines.envoy.asgi import AsgiEngine
    from conveyor_server.engines.envoy.call import Receive, Scope, Send
    from conveyor_server.listening import Listening
    from conveyor_server.workers.link import open_inherited_link
    from conveyor_server.workers.worker import Worker

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
    may_open = asyncio.Event()

    async def open_port() -> None:
        may_open.set()
        await admin.until_open(admin_socket)

    def make_engine(methods: MethodTable, listening: Listening) -> AsgiEngine:
        engine = AsgiEngine(methods, listening, open_port, lambda: admin.send_away(admin_socket))
        state[ENGINE] = engine
        return engine

    admin_socket = Path(os.environ.pop(admin.VARIABLE))
    worker = Worker(await open_inherited_link(), make_engine)
    life = asyncio.create_task(worker.run())
    await _first_of(life, asyncio.create_task(may_open.wait()))
    if may_open.is_set():
        await send({"type": "lifespan.startup.complete"})
        shutdown = asyncio.ensure_future(receive())
        await _first_of(life, shutdown)
        if shutdown.done():
            # Somebody stopped Envoy itself: nothing can be finished any more.
            worker.stop_now()
    await life
    if worker.parent_is_gone:
        # Nobody else would stop Envoy.
        os.kill(os.getpid(), signal.SIGTERM)
    if not may_open.is_set():
        await send({"type": "lifespan.startup.failed", "message": "see above"})
    else:
        await shutdown
        await send({"type": "lifespan.shutdown.complete"})


async def _first_of(*tasks: asyncio.Future[Any]) -> None:
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
