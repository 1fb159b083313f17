"""HTTP on gRPC's own port, where the engine can carry both."""

from __future__ import annotations

import asyncio
from typing import Any

from conveyor_server.engines import Engine, HttpApplication


class EnginePort:
    """What the engine hands requests to that are not gRPC."""

    address = ""

    def __init__(self, engine: Engine) -> None:
        """Raises StartError for an engine that carries gRPC alone."""
        self._application: asyncio.Future[HttpApplication] = asyncio.get_running_loop().create_future()
        self._requests: set[asyncio.Task[None] | None] = set()
        engine.answer_http(self._answer)

    async def open(self, application: HttpApplication) -> None:
        """From now on the application answers."""
        self._application.set_result(application)

    async def stop(self, grace: float) -> None:
        """Gives requests in progress `grace` seconds, then cuts them; the port is the engine's to close."""
        if tasks := [task for task in self._requests if task is not None]:
            _, late = await asyncio.wait(tasks, timeout=grace)
            for task in late:
                task.cancel()

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        task = asyncio.current_task()
        self._requests.add(task)
        try:
            # Shielded: a request that is cut must not take the application from the others.
            application = await asyncio.shield(self._application)
            await application(scope, receive, send)
        finally:
            self._requests.discard(task)
