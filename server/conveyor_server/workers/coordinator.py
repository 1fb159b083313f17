"""What the workers share, in the parent: which models serve, registrations, settings, sums of statistics."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.inference import inference_pb2 as pb
from conveyor_server.inference.live_settings import change_log_level
from conveyor_server.metrics.family import Family
from conveyor_server.metrics.process import ProcessSource
from conveyor_server.metrics.state import WorkersSource
from conveyor_server.traffic.memory import TrafficMemory
from conveyor_server.traffic.state import TrafficState, check_follows, state_of_json
from conveyor_server.workers.counts import Counts
from conveyor_server.workers.link import Body, Kind, Link, LinkClosedError, Message
from conveyor_server.workers.shared_calls import LOG, STATISTICS, Remembered, joined, to_bytes, to_text, undoing
from conveyor_server.workers.start import Pin, SharedState, Start

log = logging.getLogger(__name__)

# Of a load: a version may appear between two workers' looks at the folder.
TRIES = 3


@dataclass(frozen=True, kw_only=True)
class _Answers:
    """What the workers that are still there said; the others get the outcome when they are started again."""

    given: Mapping[Link, Body]
    errors: Sequence[ServingError]


class Coordinator:
    """A ModelControl over all workers. A load has two halves: nothing is swapped before all are able to.

    It is a TrafficControl too.
    """

    def __init__(self, memory: TrafficMemory) -> None:
        """`memory` knows the traffic to begin with."""
        self._links: set[Link] = set()
        # Those that serve.
        self._ready: set[Link] = set()
        self._models: dict[str, Pin] = {}
        self._remembered = Remembered()
        self._memory = memory
        self.traffic = dict(memory.states)
        self.workers = WorkersSource()
        self._counts = Counts([ProcessSource("parent"), self.workers])
        # One change at a time, and none while a worker joins.
        self._changing = asyncio.Lock()

    async def join(self, link: Link, number: int, settings_text: str, *, late: bool) -> None:
        """Starts a worker; one that comes late with the state that the others have."""
        async with self._changing:
            state = self._shared_state() if late else None
            traffic = {name: each.to_json() for name, each in self.traffic.items()}
            start = Start(number=number, settings_text=settings_text, state=state, traffic=traffic)
            link.tell(Kind.START, **start.to_body())
            self._links.add(link)
            self._counts.join(link)

    def _shared_state(self) -> SharedState:
        return SharedState(models=self._models, calls=self._remembered.calls(), is_alone=not self._ready)

    def leave(self, link: Link) -> None:
        """The worker has ended."""
        self._links.discard(link)
        self._ready.discard(link)
        self._counts.leave(link)
        self.workers.serving = len(self._ready)

    def note_ready(self, link: Link, models: Mapping[str, Sequence[int]]) -> None:
        """The worker serves these. What the first one serves, the others do too: they have the same repository."""
        if not self._ready:
            configs = {name: pin.config for name, pin in self._models.items()}
            self._models = {name: Pin(versions=models[name], config=configs.get(name, "")) for name in models}
        elif {name: list(pin.versions) for name, pin in self._models.items()} != models:
            log.warning("a worker serves %s, and the others %s", models, self._models)
        self._ready.add(link)
        self.workers.serving = len(self._ready)

    async def handle(self, message: Message) -> Body:
        """What a worker passes on from its caller."""
        body = message.body
        if message.kind is Kind.LOAD:
            await self.load(body["name"], body["config"], reload=body["reload"])
        elif message.kind is Kind.UNLOAD:
            await self.unload(body["name"])
        elif message.kind is Kind.TRAFFIC:
            await self.change_traffic(body["name"], state_of_json(body["state"]))
        elif message.kind is Kind.EVERYWHERE:
            return {"payload": to_text(await self.call(body["path"], to_bytes(body["payload"])))}
        elif message.kind is Kind.METRICS:
            return {"families": [family.to_json() for family in await self._counts.collect()]}
        return {}

    async def load(self, name: str, config: str, *, reload: bool) -> None:
        """Every worker loads, warms and proves; only then all of them swap."""
        async with self._changing:
            for _ in range(TRIES):
                prepared = await self._ask_all(Kind.PREPARE, name=name, config=config, reload=reload)
                versions = [body["versions"] for body in prepared.given.values()]
                message = f"failed to load '{name}', the workers could load different versions: {versions}"
                error = prepared.errors[0] if prepared.errors else ServingError(ErrorKind.INTERNAL, message)
                if not prepared.errors and all(other == versions[0] for other in versions):
                    await self._ask_all(Kind.COMMIT, list(prepared.given), name=name)
                    self._note_loaded(name, versions[0], config)
                    return
                if prepared.given:
                    # What one of them cannot serve none tries again; what only came late for one of them, all do.
                    faults = {v: reason for body in prepared.given.values() for v, reason in body["faults"].items()}
                    await self._ask_all(Kind.ABORT, list(prepared.given), name=name, reason=str(error), faults=faults)
                if prepared.errors:
                    break
            raise error

    def _note_loaded(self, name: str, versions: Sequence[int], config: str) -> None:
        if versions:
            self._models[name] = Pin(versions=versions, config=config)
        else:
            # What was passed over, as a look at the folder does, nobody has to load.
            self._models.pop(name, None)

    async def unload(self, name: str) -> None:
        """From now on no worker serves the model."""
        async with self._changing:
            answers = await self._ask_all(Kind.DROP, name=name)
            if answers.errors:
                raise answers.errors[0]
            self._models.pop(name, None)

    async def change_traffic(self, name: str, state: TrafficState) -> None:
        """Every worker takes over the state."""
        async with self._changing:
            check_follows(name, state, self.traffic.get(name, TrafficState()))
            # Known first: a worker that is started again meanwhile is given it too.
            self.traffic[name] = state
            try:
                await self._ask_all(Kind.TAKE_TRAFFIC, name=name, state=state.to_json())
            finally:
                await self._memory.keep(name, state)

    async def observed(self, name: str) -> Sequence[Family]:
        """What all workers have seen, of this model too."""
        return await self._counts.collect()

    async def call(self, path: str, payload: bytes) -> bytes:
        """Has every worker answer the call, and joins the answers."""
        if path == STATISTICS:
            return await self._call(path, payload)
        async with self._changing:
            answer = await self._call(path, payload)
            self._remembered.note(path, payload)
            if path == LOG:
                # This process has a log too.
                change_log_level(pb.LogSettingsRequest.FromString(payload).settings)
            return answer

    async def _call(self, path: str, payload: bytes) -> bytes:
        # One that still loads has nothing to say, and gets what it needs when it joins.
        answers = await self._ask_all(Kind.RUN, list(self._ready), path=path, payload=to_text(payload))
        if answers.errors:
            undo = undoing(path, payload)
            if undo is not None and answers.given:
                # All or none: where it was done it is undone.
                path, payload = undo
                await self._ask_all(Kind.RUN, list(answers.given), path=path, payload=to_text(payload))
            raise answers.errors[0]
        return joined(path, [to_bytes(body["payload"]) for body in answers.given.values()])

    async def _ask_all(self, kind: Kind, links: Sequence[Link] | None = None, **body: Any) -> _Answers:
        asked = list(self._links) if links is None else links
        results = await asyncio.gather(*(link.ask(kind, **body) for link in asked), return_exceptions=True)
        given: dict[Link, Body] = {}
        errors: list[ServingError] = []
        for link, result in zip(asked, results, strict=True):
            if isinstance(result, ServingError):
                errors.append(result)
            elif not isinstance(result, BaseException):
                given[link] = result
            elif not isinstance(result, LinkClosedError):
                raise result
        if not given and not errors:
            raise ServingError(ErrorKind.NOT_READY, "no worker is there to do this; try again")
        return _Answers(given=given, errors=errors)
