"""The parent of workers that come and go, with workers in its own process at the other ends of real links."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from conveyor_contract.errors import ConveyorError
from conveyor_server.errors import ErrorKind, ServingError, StartError
from conveyor_server.listening import Listening
from conveyor_server.polling import Poller
from conveyor_server.settings import ServerSettings
from conveyor_server.signals import StopRequests
from conveyor_server.workers import supervisor
from conveyor_server.workers.coordinator import Coordinator
from conveyor_server.workers.link import Body, Kind, Link, Message, open_link

REPORT = {"address": "here", "http_address": "", "models": {"tiny": [1]}, "engine": "none", "provider": "none"}
NO_MEMORY = OSError(12, "Cannot allocate memory")


class Puppet:
    """A worker that is ready as soon as it is told to start, and ends when it is told to stop, or by `die`."""

    def __init__(self, link: Link, theirs: Link, served: "asyncio.Queue[Puppet]") -> None:
        """It goes into `served` once the parent says that all are ready."""
        self.link = link
        self.number = -1
        self._theirs = theirs
        self._served = served
        self._reader = asyncio.create_task(theirs.run(self._handle))
        theirs.tell(Kind.ALIVE)

    async def _handle(self, message: Message) -> Body:
        if message.kind is Kind.START:
            self.number = message.body["number"]
            self._theirs.tell(Kind.READY, complete=True, **REPORT)
        elif message.kind is Kind.GO:
            self._served.put_nowait(self)
        elif message.kind is Kind.STOP:
            self._theirs.tell(Kind.ENDED, exit_code=0)
        return {}

    def die(self) -> None:
        self._theirs.close()

    async def flush(self) -> None:
        """Nothing is on its way."""

    async def end(self) -> int:
        self.link.close()
        self.die()
        await self._reader
        return -9

    def kill(self) -> None:
        self.die()


class Puppets:
    """Starts them, but first raises the errors that it is given."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.served: asyncio.Queue[Puppet] = asyncio.Queue()

    async def start(self, listening: Listening) -> Puppet:
        if self.errors:
            raise self.errors.pop()
        ours, theirs = [await open_link(end) for end in socket.socketpair()]
        return Puppet(ours, theirs, self.served)

    def stillborn(self, how: str) -> ConveyorError:
        return StartError(how)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "MAX_DELAY", 0.001)


def live(folder: Path, puppets: Puppets, happen: Callable[[Puppet], Awaitable[None]], workers: int = 2) -> int:
    """A server of so many workers, to one of which something happens once all serve; its exit code."""
    settings = ServerSettings.model_validate({"repository": folder, "port": 0, "http": False, "workers": workers})

    async def happen_when_ready() -> None:
        ready = [await puppets.served.get() for _ in range(workers)]
        await happen(ready[0])

    async def run() -> int:
        stop = StopRequests()
        async with asyncio.timeout(60):
            serving = asyncio.create_task(supervisor.supervise(settings, puppets, stop))
            happening = asyncio.create_task(happen_when_ready())
            await asyncio.wait([serving, happening], return_when=asyncio.FIRST_COMPLETED)
            happening.cancel()
            stop.first.set()
            return await serving

    return asyncio.run(run())


@pytest.mark.parametrize("error", [NO_MEMORY, StartError("no Envoy any more.")], ids=["memory", "program"])
def test_a_worker_that_cannot_be_started_for_hours_harms_nobody(tmp_path: Path, error: Exception) -> None:
    puppets, back = Puppets(), []

    async def happen(puppet: Puppet) -> None:
        # More often than a float has powers of two.
        puppets.errors = [error] * 1100
        puppet.die()
        back.append((puppet.number, (await puppets.served.get()).number))

    assert live(tmp_path, puppets, happen) == 0
    assert puppets.errors == []
    assert [before == after for before, after in back] == [True]


def test_the_first_worker_that_cannot_be_started_ends_the_start_in_a_sentence(tmp_path: Path) -> None:
    async def happen(puppet: Puppet) -> None:
        raise AssertionError("nothing serves")

    with pytest.raises(StartError, match=r"^a worker cannot be started \(Cannot allocate memory\)\.$"):
        live(tmp_path, Puppets(NO_MEMORY), happen, workers=1)


def test_a_worker_that_cannot_be_told_enough_harms_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    puppets, back, join = Puppets(), [], Coordinator.join
    errors = [ServingError(ErrorKind.INTERNAL, "too much to tell")]

    async def refuse(self: Coordinator, link: Link, number: int, settings_text: str, *, late: bool) -> None:
        if late and errors:
            raise errors.pop()
        await join(self, link, number, settings_text, late=late)

    async def happen(puppet: Puppet) -> None:
        puppet.die()
        back.append((puppet.number, (await puppets.served.get()).number))

    monkeypatch.setattr(Coordinator, "join", refuse)
    assert live(tmp_path, puppets, happen) == 0
    assert errors == []
    assert [before == after for before, after in back] == [True]


def test_after_the_only_worker_every_model_is_looked_at_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    puppets, forgotten = Puppets(), list[Poller]()

    def note(self: Poller) -> None:
        forgotten.append(self)

    async def happen(puppet: Puppet) -> None:
        forgotten.clear()
        puppet.die()
        await puppets.served.get()

    monkeypatch.setattr(Poller, "forget", note)
    assert live(tmp_path, puppets, happen, workers=1) == 0
    assert len(forgotten) == 1


def test_the_pause_before_the_next_try_grows_and_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "MAX_DELAY", 10.0)
    assert [supervisor.delay_after(failures) for failures in (0, 1, 2, 100, 10_000)] == [0.1, 0.2, 0.4, 10.0, 10.0]
