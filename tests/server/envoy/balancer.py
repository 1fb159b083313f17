"""A forwarder of TCP connections, as a load balancer is: each new connection goes to the server of the moment."""

import asyncio
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self


class Balancer:
    """Forwards from `address` to `target`, both host:port; connections that are there stay where they are."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.address = ""
        self._loop = asyncio.new_event_loop()
        self._stopped = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._opened = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._opened.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._forward, "127.0.0.1", 0)
        self.address = "{}:{}".format(*server.sockets[0].getsockname())
        self._opened.set()
        await self._stopped.wait()
        server.close()
        for writer in self._writers:
            writer.transport.abort()
        # Their ends are noticed in the next turns of the loop.
        await asyncio.sleep(0.1)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = self.target.rpartition(":")
        try:
            back_reader, back_writer = await asyncio.open_connection(host, int(port))
        except OSError:
            writer.close()
            return
        self._writers |= {writer, back_writer}
        try:
            await asyncio.gather(_copy(reader, back_writer), _copy(back_reader, writer))
        finally:
            self._writers -= {writer, back_writer}
            writer.close()
            back_writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
