"""What the parent makes of its workers' answers, with scripted workers at the other ends of real links."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager

import pytest

from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.inference import inference_pb2 as pb
from conveyor_server.traffic.memory import TrafficMemory
from conveyor_server.workers.coordinator import Coordinator
from conveyor_server.workers.link import Body, Kind, Link, Message, open_link
from conveyor_server.workers.shared_calls import LOG, REGISTER, UNREGISTER, to_bytes, to_text
from tests.server.scripted import in_loop

REGION = pb.SystemSharedMemoryRegisterRequest(name="images", key="/images", byte_size=8).SerializeToString()


class ScriptedWorker:
    """Notes each call that it is to run, and does it or refuses."""

    def __init__(
        self, refuses: bool = False, versions: Sequence[int] = (), faults: Mapping[int, str] | None = None
    ) -> None:
        """`versions` are those that it finds, one after the other, each time that it is to prepare a load; `faults`
        those that it cannot serve."""
        self.calls: list[tuple[str, bytes]] = []
        self._refuses = refuses
        self._versions = list(versions)
        self._faults = {str(version): reason for version, reason in (faults or {}).items()}
        self.done: list[Kind] = []
        self.told_faults: list[Body] = []

    async def handle(self, message: Message) -> Body:
        self.done.append(message.kind)
        if message.kind is Kind.PREPARE:
            return {"versions": [self._versions.pop(0)], "faults": self._faults}
        if message.kind is Kind.ABORT:
            self.told_faults.append(message.body["faults"])
        if message.kind is not Kind.RUN:
            return {}
        self.calls.append((message.body["path"], to_bytes(message.body["payload"])))
        if self._refuses:
            raise ServingError(ErrorKind.INVALID_ARGUMENT, "no room for one more")
        return {"payload": to_text(b"")}


@asynccontextmanager
async def coordinated(*workers: ScriptedWorker) -> AsyncIterator[Coordinator]:
    """A coordinator of these workers, which all serve."""
    coordinator = Coordinator(TrafficMemory(None, {}, lambda name, version: ""))
    links: list[Link] = []
    tasks: list[asyncio.Task[None]] = []
    for number, worker in enumerate(workers):
        ours, theirs = [await open_link(end) for end in socket.socketpair()]
        tasks += [asyncio.create_task(ours.run(coordinator.handle)), asyncio.create_task(theirs.run(worker.handle))]
        links += [ours, theirs]
        await coordinator.join(ours, number, "{}", late=False)
        coordinator.note_ready(ours, {})
    try:
        yield coordinator
    finally:
        for link in links:
            link.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@in_loop
async def test_memory_that_one_worker_cannot_register_is_registered_by_none() -> None:
    able, unable = ScriptedWorker(refuses=False), ScriptedWorker(refuses=True)
    async with coordinated(able, unable) as coordinator:
        with pytest.raises(ServingError, match="no room for one more"):
            await coordinator.call(REGISTER, REGION)
    undone = pb.SystemSharedMemoryUnregisterRequest(name="images").SerializeToString()
    assert able.calls == [(REGISTER, REGION), (UNREGISTER, undone)]
    assert unable.calls == [(REGISTER, REGION)]


@in_loop
async def test_memory_that_all_register_stays() -> None:
    workers = ScriptedWorker(refuses=False), ScriptedWorker(refuses=False)
    async with coordinated(*workers) as coordinator:
        await coordinator.call(REGISTER, REGION)
    assert [worker.calls for worker in workers] == [[(REGISTER, REGION)]] * 2


@in_loop
async def test_a_version_that_appears_between_two_looks_is_loaded_by_all_in_the_next_try() -> None:
    early, late = ScriptedWorker(versions=[8, 9]), ScriptedWorker(versions=[9, 9])
    async with coordinated(early, late) as coordinator:
        await coordinator.load("tiny", "", reload=False)
    for worker in (early, late):
        assert worker.done[1:] == [Kind.PREPARE, Kind.ABORT, Kind.PREPARE, Kind.COMMIT]


@in_loop
async def test_what_one_worker_cannot_serve_every_other_is_told_to_give_up() -> None:
    able, unable = ScriptedWorker(versions=[2, 1]), ScriptedWorker(versions=[1, 1], faults={2: "it does not fit"})
    async with coordinated(able, unable) as coordinator:
        await coordinator.load("tiny", "", reload=False)
    assert able.told_faults == unable.told_faults == [{"2": "it does not fit"}]


@in_loop
async def test_workers_that_never_agree_load_nothing() -> None:
    one, other = ScriptedWorker(versions=[1, 1, 1]), ScriptedWorker(versions=[2, 2, 2])
    async with coordinated(one, other) as coordinator:
        with pytest.raises(ServingError, match="the workers could load different versions"):
            await coordinator.load("tiny", "", reload=False)
    assert Kind.COMMIT not in one.done + other.done
    assert one.done[-1] is other.done[-1] is Kind.ABORT


@pytest.fixture
def log_level() -> Iterator[Callable[[], int]]:
    """The level of this process's log, put back at the end."""
    logger = logging.getLogger("conveyor_server")
    before = logger.level
    yield logger.getEffectiveLevel
    logger.setLevel(before)


def test_the_parents_own_log_follows_the_workers(log_level: Callable[[], int]) -> None:
    @in_loop
    async def test() -> None:
        settings = pb.LogSettingsRequest()
        settings.settings["log_info"].bool_param = False
        async with coordinated(ScriptedWorker(refuses=False)) as coordinator:
            await coordinator.call(LOG, settings.SerializeToString())

    logging.getLogger("conveyor_server").setLevel(logging.INFO)
    test()
    assert log_level() == logging.WARNING
