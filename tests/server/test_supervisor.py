"""The parent of workers that never begin."""

import asyncio
import socket
from pathlib import Path

import pytest

from conveyor_contract.errors import ConveyorError
from conveyor_server.errors import StartError
from conveyor_server.listening import Listening
from conveyor_server.settings import ServerSettings
from conveyor_server.signals import StopRequests
from conveyor_server.workers import supervisor
from conveyor_server.workers.link import Link, open_link


class Hanging:
    """A process in which Python never begins: it says nothing, and reads nothing."""

    def __init__(self, link: Link, end: socket.socket) -> None:
        self.link = link
        self._end = end

    async def flush(self) -> None:
        raise AssertionError("it never ended in order")

    async def end(self) -> int:
        self.link.close()
        return -9

    def kill(self) -> None:
        self._end.close()


class Hangs:
    """Starts such processes."""

    async def start(self, listening: Listening) -> Hanging:
        ours, theirs = socket.socketpair()
        return Hanging(await open_link(ours), theirs)

    def stillborn(self, how: str) -> ConveyorError:
        return StartError(how)


def run(folder: Path, stop_after: float | None) -> int:
    settings = ServerSettings.model_validate({"repository": folder, "port": 0, "http": False})

    async def live() -> int:
        stop = StopRequests()
        if stop_after is not None:
            asyncio.get_running_loop().call_later(stop_after, stop.first.set)
        async with asyncio.timeout(30):
            return await supervisor.supervise(settings, Hangs(), stop)

    return asyncio.run(live())


def test_a_worker_that_never_begins_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "BEGIN_SECONDS", 0.1)
    with pytest.raises(StartError, match=r"did not begin in it within 0\.1 seconds"):
        run(tmp_path, stop_after=None)


def test_one_request_to_stop_ends_a_worker_that_never_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "LAST_SECONDS", 0.1)
    assert run(tmp_path, stop_after=0.1) == 1
