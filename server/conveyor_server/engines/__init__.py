"""What carries gRPC. An engine takes a table of methods and knows nothing of models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from conveyor_server.calls import MethodTable
from conveyor_server.listening import Listening


class Engine(Protocol):
    """One port, and the methods behind it."""

    name: str

    async def start(self) -> int:
        """Serves, and returns the port once it is open. Raises StartError when it cannot be had."""

    async def send_away(self) -> None:
        """Asks callers to make their next calls elsewhere, where the engine can; calls are still answered meanwhile.

        Returns when those who call at this time have heard it.
        """

    async def stop(self, grace: float) -> None:
        """Gives calls in progress `grace` seconds, then cuts them; after it nothing is answered any more."""


MakeEngine = Callable[[MethodTable, Listening], Engine]
