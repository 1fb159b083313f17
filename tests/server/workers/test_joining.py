"""What a worker loads that joins others, or takes the place of the last one."""

import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from conveyor_server.errors import StartError
from conveyor_server.inference.description import config_of
from conveyor_server.repository import Repository
from conveyor_server.workers.joining import load_shared
from conveyor_server.workers.start import Pin, SharedState
from tests.server.scripted import in_loop
from tests.server.test_repository import OPTIONS, write

PINS = {"tiny": Pin(versions=[1]), "other": Pin(versions=[1], config='{"max_batch_size": 4}')}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Holds what is pinned, and more that is newer."""
    for name in (*PINS, "stranger"):
        write(tmp_path, 1, name)
        write(tmp_path, 2, name)
    return tmp_path


def in_repository(root: Path, test: Callable[[Repository], Awaitable[None]]) -> None:
    @in_loop
    async def run() -> None:
        repository = Repository(root, OPTIONS)
        try:
            await test(repository)
        finally:
            repository.close()

    run()


@pytest.mark.parametrize("is_alone", [False, True])
def test_what_served_before_serves_again_and_nothing_newer(root: Path, *, is_alone: bool) -> None:
    async def test(repository: Repository) -> None:
        await load_shared(repository, SharedState(models=PINS, is_alone=is_alone))
        assert repository.served_versions() == {"tiny": [1], "other": [1]}
        assert config_of(repository.find("other", "")).max_batch_size == 4

    in_repository(root, test)


def test_one_that_cannot_be_like_the_others_does_not_start(root: Path) -> None:
    (root / "tiny" / "1" / "model.onnx").write_bytes(b"no model")

    async def test(repository: Repository) -> None:
        with pytest.raises(StartError, match="the other workers serve cannot be loaded: version 1: .*not an ONNX file"):
            await load_shared(repository, SharedState(models=PINS))

    in_repository(root, test)


def test_one_that_is_alone_loads_what_there_is(root: Path) -> None:
    shutil.rmtree(root / "tiny")
    shutil.rmtree(root / "other" / "1")

    async def test(repository: Repository) -> None:
        await load_shared(repository, SharedState(models=PINS, is_alone=True))
        assert repository.served_versions() == {"other": [2]}
        assert config_of(repository.find("other", "")).max_batch_size == 4, "configured as it was"

    in_repository(root, test)
