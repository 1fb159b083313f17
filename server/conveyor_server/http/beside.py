"""HTTP beside gRPC. Its address is taken at once; its application comes a moment later, and requests wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Final, Protocol

from conveyor_server.engines import Engine, HttpApplication
from conveyor_server.http.engine_port import EnginePort
from conveyor_server.http.own_port import OwnPort
from conveyor_server.http.services import HttpServices
from conveyor_server.importing import collector_paused
from conveyor_server.listening import http_listening, is_one_port

if TYPE_CHECKING:
    from conveyor_server.settings import ServerSettings

# Seconds that the models have for themselves: the imports of the application would only slow them down.
MODELS_FIRST_SECONDS: Final = 0.25
# A tenth of a second and more to import.
HEAVY: Final = ("conveyor_server.http.app", "conveyor_server.http.uvicorn_server")


class Port(Protocol):
    """What carries the application."""

    # host:port; empty where it is the engine's.
    address: str

    async def open(self, application: HttpApplication) -> None:
        """From now on requests are answered, those that wait first. Raises StartError."""

    async def stop(self, grace: float) -> None:
        """Gives requests in progress `grace` seconds, then cuts them."""


class HttpBeside:
    """HTTP of one server, on a port of its own or on the engine's."""

    def __init__(
        self, settings: ServerSettings, engine: Engine, services: Callable[[], HttpServices], *, shared: bool
    ) -> None:
        """Takes the address, before the engine starts. Raises StartError when it cannot be had."""
        self._services = services
        self._port: Port = (
            EnginePort(engine) if is_one_port(settings) else OwnPort(http_listening(settings, shared=shared))
        )
        self.address = self._port.address
        self._opening: asyncio.Task[None] | None = None

    def open_after(self, loaded: asyncio.Event) -> None:
        """Has the application made once the models are loaded, or while they are, where that takes long."""
        self._opening = asyncio.create_task(self._open(loaded))

    async def until_open(self) -> None:
        """Returns once requests are answered. Raises what keeps them from it."""
        if self._opening is not None:
            # Shielded: whoever waits may give up, and those who are connected still want an answer.
            await asyncio.shield(self._opening)

    async def stop(self, grace: float) -> None:
        """Closes, gives requests in progress `grace` seconds, then cuts them."""
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait((self._opening,))
        await self._port.stop(grace)

    async def _open(self, loaded: asyncio.Event) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(loaded.wait(), MODELS_FIRST_SECONDS)
        # In a thread: calls are answered meanwhile.
        await asyncio.to_thread(_import)
        from conveyor_server.http.app import make_app

        await self._port.open(make_app(self._services()))


def _import() -> None:
    with collector_paused():
        for name in HEAVY:
            import_module(name)
