"""A load that hangs is given up in time, says so, and stands in nobody's way."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from conveyor_server.entry import State
from conveyor_server.repository import Repository
from tests.models import write_tiny_model
from tests.server.envoy.asking import is_right, request
from tests.server.process import running
from tests.server.scripted import in_loop
from tests.server.test_repository import OPTIONS, write


def write_hanging(root: Path, name: str) -> Path:
    """A model's file that nobody ever finishes opening, as on a file system that has gone."""
    path = root / name / "1" / "model.onnx"
    path.parent.mkdir(parents=True)
    os.mkfifo(path)
    os.utime(path, (time.time() - 60, time.time() - 60))
    return path


@contextmanager
def hanging_file(root: Path, name: str) -> Iterator[Path]:
    """The same; at the end whoever still waits for it is let go, and somebody has to."""
    path = write_hanging(root, name)
    yield path
    os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))


def test_a_load_that_hangs_is_given_up_and_later_loads_succeed(tmp_path: Path) -> None:
    write(tmp_path)

    @in_loop
    async def test() -> None:
        repository = Repository(tmp_path, replace(OPTIONS, max_load_seconds=0.5))
        with hanging_file(tmp_path, "hung"):
            started = time.monotonic()
            await repository.load_all()
            assert 0.5 <= time.monotonic() - started < 10
            assert repository.served_versions() == {"tiny": [1]}
            entry = repository.entry("hung", "1")
            assert (entry.state, entry.failed) == (State.UNAVAILABLE, True)
            assert "was not loaded, warmed and proved within 0.5 seconds; --max-load-seconds" in entry.reason
            write(tmp_path, version=2, seed=1)
            repository.commit(await repository.prepare("tiny", OPTIONS))
            assert repository.served_versions() == {"tiny": [2]}
        repository.close()

    test()


def test_a_server_serves_and_ends_in_spite_of_a_load_that_hangs(tmp_path: Path) -> None:
    write_tiny_model(tmp_path, "tiny")
    write_hanging(tmp_path, "hung")
    with running(tmp_path, "--max-load-seconds", "0.5") as server:
        assert is_right(tmp_path, 0, server.stub.Classify(request(0), timeout=10))
        server.wait_for_log("cannot serve model=hung version=1: .* within 0.5 seconds")
        server.signal()
        assert server.wait(10) == 0
