"""The life of one worker: it is started, loads, serves, does what its parent says, drains."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import asdict

from conveyor_contract.errors import ConveyorError
from conveyor_server.candidate import Candidate
from conveyor_server.control import load_options_for
from conveyor_server.engines import MakeEngine
from conveyor_server.errors import ServingError, StartError
from conveyor_server.importing import settle_collector
from conveyor_server.running import configure_logging, until
from conveyor_server.server import Server
from conveyor_server.signals import StopRequests
from conveyor_server.traffic.state import state_of_json
from conveyor_server.workers.fellows import Fellows
from conveyor_server.workers.link import Body, Kind, Link, Message
from conveyor_server.workers.settings_text import settings_of_text
from conveyor_server.workers.shared_calls import to_bytes, to_text
from conveyor_server.workers.start import Start

log = logging.getLogger(__name__)


class Worker:
    """One process among several, or the one inside Envoy."""

    def __init__(self, link: Link, make_engine: MakeEngine) -> None:
        self._link = link
        self._make_engine = make_engine
        self._stop = StopRequests()
        self._fellows = Fellows(link)
        self._start: asyncio.Future[Start] = asyncio.get_running_loop().create_future()
        # Once it is made, and once the repository is loaded.
        self._made: Server | None = None
        self._server: asyncio.Future[Server] = asyncio.get_running_loop().create_future()
        self._candidates: dict[str, Candidate] = {}
        self._handlers: dict[Kind, Callable[[Server, Body], Awaitable[Body]]] = {
            Kind.PREPARE: self._prepare,
            Kind.COMMIT: self._commit,
            Kind.ABORT: self._abort,
            Kind.DROP: self._drop,
            Kind.RUN: self._run_call,
            Kind.TAKE_TRAFFIC: self._take_traffic,
            Kind.GO: self._go,
        }

    async def run(self) -> bool:
        """Lives until the parent says stop, or is gone. False when it could not even start."""
        reader = asyncio.create_task(self._link.run(self.handle))
        reader.add_done_callback(self._parent_gone)
        self._link.tell(Kind.ALIVE)
        try:
            code = await self._live()
            self._link.tell(Kind.ENDED, exit_code=code)
            return True
        except ConveyorError as error:
            self._link.tell(Kind.FAILED, reason=str(error))
        except Exception:
            log.exception("unexpected error")
            reason = "the server stopped on an unexpected error; its log has the cause."
            self._link.tell(Kind.FAILED, reason=reason)
        finally:
            await self._link.flush()
        return False

    def stop_now(self) -> None:
        """Nothing is finished any more."""
        self._stop.first.set()
        self._stop.second.set()

    @property
    def parent_is_gone(self) -> bool:
        """Whether nobody is left to end this process."""
        return self._link.is_closed

    def _parent_gone(self, reader: asyncio.Task[None]) -> None:
        self._stop.first.set()
        if not self._start.done():
            self._start.set_exception(StartError("the parent process has gone."))

    async def handle(self, message: Message) -> Body:
        """What the parent tells and asks."""
        if message.kind is Kind.START:
            self._start.set_result(Start.from_body(message.body))
        elif message.kind is Kind.COUNTS:
            families = self._made.metrics.snapshot() if self._made is not None else []
            return {"families": [family.to_json() for family in families]}
        elif message.kind is Kind.PULSE:
            # That it is answered says all.
            return {}
        elif message.kind is Kind.STOP:
            (self._stop.second if self._stop.first.is_set() else self._stop.first).set()
        else:
            return await self._handlers[message.kind](await asyncio.shield(self._server), message.body)
        return {}

    async def _live(self) -> int:
        start = await self._start
        self._fellows.number = start.number
        settings = settings_of_text(start.settings_text)
        number = start.number if settings.workers > 1 else None
        configure_logging(settings.log_level, settings.log_format, number)
        # Heavy.
        from conveyor_server.devices import device_options
        from conveyor_server.providers import choose_provider

        device = device_options(settings, start.number)
        provider = await asyncio.to_thread(choose_provider, settings.device, device)
        settle_collector()
        server = Server(settings, provider, self._make_engine, self._fellows)
        self._made = server
        try:
            await until(self._stop.first, self._begin(server, start))
            await self._stop.first.wait()
            await until(self._stop.second, server.drain())
            return 1 if server.unanswered else 0
        finally:
            await server.close()

    async def _begin(self, server: Server, start: Start) -> None:
        """The first workers open the port at once, as one server does; a late one only when it is like the others."""
        for name, state in start.traffic.items():
            server.take_traffic(name, state_of_json(state))
        if start.state is None:
            await server.start()
            report = await server.load()
        else:
            report = await server.load(start.state)
            for path, payload in start.state.calls:
                await self._do_again(path, to_bytes(payload))
            await server.start()
        await server.until_open()
        self._link.tell(Kind.READY, **asdict(report))
        self._server.set_result(server)

    async def _do_again(self, path: str, payload: bytes) -> None:
        try:
            await self._fellows.answer(path, payload)
        except ServingError as error:
            # Such as shared memory whose owner has gone.
            log.warning("what the workers were told before cannot be done again path=%s: %s", path, error)

    async def _prepare(self, server: Server, body: Body) -> Body:
        name = body["name"]
        options = load_options_for(server.repository, name, body["config"])
        candidate = await server.repository.prepare(name, options, reload=body["reload"])
        self._candidates[name] = candidate
        return {"versions": candidate.versions, "faults": candidate.faults}

    async def _commit(self, server: Server, body: Body) -> Body:
        server.repository.commit(self._candidates.pop(body["name"]))
        return {}

    async def _abort(self, server: Server, body: Body) -> Body:
        faults = {int(version): reason for version, reason in body["faults"].items()}
        server.repository.abort(self._candidates.pop(body["name"]), body["reason"], faults)
        return {}

    async def _drop(self, server: Server, body: Body) -> Body:
        await server.repository.unload(body["name"])
        return {}

    async def _run_call(self, server: Server, body: Body) -> Body:
        return {"payload": to_text(await self._fellows.answer(body["path"], to_bytes(body["payload"])))}

    async def _take_traffic(self, server: Server, body: Body) -> Body:
        server.take_traffic(body["name"], state_of_json(body["state"]))
        return {}

    async def _go(self, server: Server, body: Body) -> Body:
        server.release()
        return {}
