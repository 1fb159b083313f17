"""The connections of one process of a load: opened to the server's addresses in turn, replaced when lost."""

import asyncio
import ssl
from contextlib import suppress

from conveyor_bench.http2 import Connection
from conveyor_client import ConveyorClientError
from conveyor_client.channel import parse_address

_RECONNECT_SECONDS = 0.1
_CONNECT_SECONDS = 10.0


class Connections:
    """`count` connections, taken in turn. Use with `async with`, which opens them all."""

    def __init__(self, address: str, count: int) -> None:
        target = parse_address(address)
        self.tls = target.tls
        places = target.address.removeprefix("ipv4:").removeprefix("ipv6:").removeprefix("dns:").lstrip("/").split(",")
        self.authority = "localhost" if target.address.startswith("unix:") else places[0]
        self._places = [target.address] if target.address.startswith("unix:") else places
        self._open: list[Connection | None] = [None] * count
        self._taken = 0
        self._keeper: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Connections":
        for number in range(len(self._open)):
            try:
                self._open[number] = await self._connect(number)
            except OSError as error:
                raise ConveyorClientError(f"no server answers at {self._places[0]}: {error}") from error
        self._keeper = asyncio.create_task(self._keep())
        return self

    async def __aexit__(self, *exception: object) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
        for connection in self._open:
            if connection is not None:
                connection.close()
        await asyncio.sleep(0)

    def next(self) -> Connection | None:
        """The connection whose turn it is; None while it is being replaced."""
        connection = self._open[self._taken % len(self._open)]
        self._taken += 1
        return connection if connection is not None and connection.usable else None

    async def _keep(self) -> None:
        """Replaces lost connections; one that the server asked to leave finishes its calls by itself."""
        while True:
            await asyncio.sleep(_RECONNECT_SECONDS)
            for number, connection in enumerate(self._open):
                if connection is None or not connection.usable:
                    with suppress(OSError):
                        self._open[number] = await self._connect(number)

    async def _connect(self, number: int) -> Connection:
        """An open connection whose limits are known. Raises OSError."""
        place = self._places[number % len(self._places)]
        async with asyncio.timeout(_CONNECT_SECONDS):
            connection = await self._open_transport(place)
            await connection.configured
        return connection

    async def _open_transport(self, place: str) -> Connection:
        loop = asyncio.get_running_loop()
        if place.startswith("unix:"):
            path = place.removeprefix("unix:").replace("//", "", 1)
            return (await loop.create_unix_connection(Connection, path))[1]
        host, _, port = place.rpartition(":")
        context = None
        if self.tls:
            context = ssl.create_default_context()
            context.set_alpn_protocols(["h2"])
        return (await loop.create_connection(Connection, host.strip("[]"), int(port), ssl=context))[1]
