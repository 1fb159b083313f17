"""What carries gRPC. An engine takes a table of methods and knows nothing of models."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

from conveyor_server.calls import MethodTable
from conveyor_server.listening import Listening

# An ASGI application: of a scope, and of the functions that receive and send events.
HttpApplication = Callable[[Any, Any, Any], Awaitable[None]]
# Where its scope says whom the caller's verified certificate names.
CERTIFICATE_NAME: Final = "certificate_name"


class Engine(Protocol):
    """One port, and the methods behind it."""

    name: str
    # Whether it does more where its threads wait for each other's turns to end; see `scheduling.py`.
    takes_turns: bool

    def answer_http(self, application: HttpApplication) -> None:
        """Has requests that are not gRPC answered by this; before the start. Raises StartError where it cannot."""

    async def start(self) -> int:
        """Serves, and returns the port once it is open. Raises StartError when it cannot be had."""

    async def send_away(self) -> None:
        """Asks callers to make their next calls elsewhere, where the engine can; calls are still answered meanwhile.

        Returns when those who call at this time have heard it.
        """

    async def stop(self, grace: float) -> None:
        """Gives calls in progress `grace` seconds, then cuts them; after it nothing is answered any more."""


MakeEngine = Callable[[MethodTable, Listening], Engine]
