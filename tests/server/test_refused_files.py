"""A file that cannot be served is let go at once, and does not stay open until the collector comes by."""

import asyncio
import gc
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from conveyor_server.repository import Repository
from tests.server.scripted import in_loop
from tests.server.test_repository import OPTIONS, write


@pytest.fixture
def nothing_collected(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No collector comes, and pytest does not keep the log's records, which have the errors."""
    caplog.set_level(logging.CRITICAL, "conveyor_server.repository")
    gc.disable()
    yield
    gc.enable()


def open_files(folder: Path) -> list[str]:
    """Those below the folder that this process holds, removed ones too."""
    targets = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            targets.append(os.readlink(descriptor))
        except OSError:
            continue
    return [target for target in targets if target.startswith(f"{folder}/")]


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def alter_a_label(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"class 1"', b'"class X"'))


@pytest.mark.parametrize("spoil", [cut_short, alter_a_label])
@pytest.mark.usefixtures("nothing_collected")
def test_a_refused_file_does_not_stay_open(tmp_path: Path, spoil: object) -> None:
    spoil(write(tmp_path))  # type: ignore[operator]

    @in_loop
    async def test() -> None:
        repository = Repository(tmp_path, OPTIONS)
        await repository.load_all()
        assert not repository.serving()
        # The turn in which the load failed, and the thread that loaded, have to end first.
        async with asyncio.timeout(10):
            while open_files(tmp_path):  # noqa: ASYNC110 -- a descriptor has no event to wait for
                await asyncio.sleep(0.01)
        repository.close()

    test()
