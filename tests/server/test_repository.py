"""The repository by itself: which versions serve, what a change of the folder does, and what it never does."""

import asyncio
import logging
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conveyor_server.control import LocalControl
from conveyor_server.entry import State
from conveyor_server.errors import ServingError
from conveyor_server.folder import RepositoryError, scan
from conveyor_server.loading import LoadOptions
from conveyor_server.polling import Poller
from conveyor_server.providers import CPU
from conveyor_server.repository import Repository
from conveyor_server.session import SessionOptions
from conveyor_server.version_policy import VersionPolicy, parse_policy
from tests.models import write_tiny_model
from tests.server.scripted import in_loop

OPTIONS = LoadOptions(
    session=SessionOptions(provider=CPU, intra_op_threads=1),
    instance_count=1,
    max_queue_size=64,
    max_queue_delay=0.0,
    max_pixels=1_000_000,
    graph_batch_size=8,
    decode_pool=ThreadPoolExecutor(1),
)


def write(root: Path, version: int = 1, name: str = "tiny", seed: int = 0) -> Path:
    """A model's file, written a while ago."""
    path = write_tiny_model(root, name, version, seed=seed)
    os.utime(path, (time.time() - 60, time.time() - 60 + seed))
    return path


class Watched:
    """A repository, and the poller that looks at it."""

    def __init__(self, root: Path, policy: str = "latest:1") -> None:
        self.repository = Repository(root, OPTIONS, parse_policy(policy))
        self.poller = Poller(root, LocalControl(self.repository))

    @property
    def served(self) -> dict[str, list[int]]:
        return self.repository.served_versions()

    def reason(self, version: int, name: str = "tiny") -> str:
        return self.repository.entry(name, str(version)).reason


@pytest.fixture
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("repository")
    return folder


@pytest.mark.parametrize(
    ("policy", "served"),
    [("latest:1", [5]), ("latest:2", [3, 5]), ("all", [1, 3, 5]), ("specific:1,3", [1, 3]), ("specific:3,9", [3])],
)
def test_the_policy_says_which_versions_serve(root: Path, policy: str, served: list[int]) -> None:
    for version in (1, 3, 5):
        write(root, version)

    @in_loop
    async def check() -> None:
        watched = Watched(root, policy)
        await watched.repository.load_all()
        assert watched.served == {"tiny": served}
        assert watched.repository.find("tiny", "").version == max(served)
        for version in served:
            assert watched.repository.find("tiny", str(version)).version == version
        others = {1, 3, 5} - set(served)
        assert {watched.reason(version) for version in others} <= {f"not loaded: version {max(served)} serves"}
        watched.repository.close()

    check()


def test_a_policy_that_wants_none_of_the_versions_says_so(root: Path) -> None:
    write(root)

    @in_loop
    async def check() -> None:
        watched = Watched(root, "specific:7")
        with pytest.raises(ServingError, match=r"wants none of its versions \(1\)"):
            await watched.repository.prepare("tiny", OPTIONS)

    check()


@given(st.text(alphabet="latestspcific:,0123456789 -", max_size=12))
def test_a_policy_is_read_or_refused_and_nothing_else(text: str) -> None:
    try:
        policy = parse_policy(text)
    except ValueError as error:
        assert "latest:N, all or specific:1,3" in str(error)
    else:
        assert isinstance(policy, VersionPolicy)
        assert policy.candidates([1, 2]) == sorted(policy.candidates([1, 2]), reverse=True)


def test_polling_takes_over_what_is_new_and_keeps_what_has_not_changed(root: Path) -> None:
    write(root)

    @in_loop
    async def check() -> None:
        watched = Watched(root)
        await watched.repository.load_all()
        first = watched.repository.find("tiny", "")
        await watched.poller.look()
        assert watched.repository.find("tiny", "") is first
        write(root, 2, seed=1)
        write(root, 1, "other")
        await watched.poller.look()
        assert watched.served == {"tiny": [2], "other": [1]}
        second = watched.repository.find("tiny", "")
        write(root, 2, seed=2)
        await watched.poller.look()
        assert watched.repository.find("tiny", "").file_digest != second.file_digest
        watched.repository.close()

    check()


def test_polling_unloads_what_has_gone(root: Path) -> None:
    write(root)
    write(root, 2)
    write(root, 1, "other")

    @in_loop
    async def check() -> None:
        watched = Watched(root)
        await watched.repository.load_all()
        await watched.poller.look()
        shutil.rmtree(root / "tiny" / "2")
        await watched.poller.look()
        assert watched.served == {"tiny": [1], "other": [1]}
        shutil.rmtree(root / "tiny")
        await watched.poller.look()
        assert watched.served == {"other": [1]}
        watched.repository.close()

    check()


def disappear(root: Path, aside: Path, *, emptied: bool) -> None:
    root.rename(aside)
    if emptied:
        root.mkdir()


def come_back(root: Path, aside: Path) -> None:
    shutil.rmtree(root, ignore_errors=True)
    aside.rename(root)


@pytest.mark.parametrize("emptied", [False, True])
def test_a_repository_that_disappears_keeps_what_is_loaded_and_says_so_once(
    root: Path, emptied: bool, caplog: pytest.LogCaptureFixture
) -> None:
    write(root)
    aside = root.with_name("aside")

    @in_loop
    async def check() -> None:
        watched = Watched(root)
        await watched.repository.load_all()
        await watched.poller.look()
        disappear(root, aside, emptied=emptied)
        for _ in range(3):
            await watched.poller.look()
        assert watched.served == {"tiny": [1]}
        words = "is suddenly empty" if emptied else "cannot be read"
        assert len([record for record in caplog.records if words in record.getMessage()]) == 1
        come_back(root, aside)
        write(root, 2)
        await watched.poller.look()
        assert watched.served == {"tiny": [2]}
        watched.repository.close()

    with caplog.at_level(logging.INFO):
        check()


def test_a_bad_candidate_is_tried_once_and_never_replaces_a_good_one(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(root)

    @in_loop
    async def check() -> None:
        watched = Watched(root)
        await watched.repository.load_all()
        good = watched.repository.find("tiny", "")
        bad = write(root, 2)
        bad.write_bytes(b"no model")
        os.utime(bad, (1, 1))
        for _ in range(3):
            await watched.poller.look()
        assert watched.repository.find("tiny", "") is good
        assert "not an ONNX file" in watched.reason(2)
        write(root, 3, "tiny").write_bytes(b"no model either")
        os.utime(root / "tiny" / "3" / "model.onnx", (1, 1))
        await watched.poller.look()
        assert watched.repository.find("tiny", "") is good
        watched.repository.close()

    with caplog.at_level(logging.ERROR):
        check()
    assert len([record for record in caplog.records if "version=2" in record.getMessage()]) == 1


def test_a_version_that_is_being_copied_is_left_alone(root: Path) -> None:
    write(root)

    @in_loop
    async def check() -> None:
        watched = Watched(root)
        await watched.repository.load_all()
        await watched.poller.look()
        whole = write(root, 2).read_bytes()
        target = root / "tiny" / "2" / "model.onnx"
        target.unlink()
        await watched.poller.look()
        assert watched.served == {"tiny": [1]}
        for part in range(3):
            target.write_bytes(whole[: len(whole) * (part + 1) // 4])
            await watched.poller.look()
            assert watched.served == {"tiny": [1]}
            assert 2 not in {entry.version for entry in watched.repository.entries()}
        target.write_bytes(whole)
        os.utime(target, (1, 1))
        await watched.poller.look()
        assert watched.served == {"tiny": [2]}
        watched.repository.close()

    check()


def test_a_load_waits_until_the_file_is_whole(root: Path) -> None:
    whole = write(root).read_bytes()
    target = root / "tiny" / "1" / "model.onnx"
    target.write_bytes(whole[:100])

    @in_loop
    async def check() -> None:
        watched = Watched(root)
        load = asyncio.create_task(watched.repository.prepare("tiny", OPTIONS, reload=True))
        await asyncio.sleep(0.2)
        target.write_bytes(whole)
        candidate = await load
        watched.repository.commit(candidate)
        assert watched.served == {"tiny": [1]}
        watched.repository.close()

    check()


def test_an_abandoned_load_leaves_no_trace(root: Path) -> None:
    write(root)

    @in_loop
    async def check() -> None:
        watched = Watched(root)
        await watched.repository.load_all()
        write(root, 2)
        changed = asyncio.Event()
        watched.repository.changed = changed.set
        load = asyncio.create_task(watched.repository.prepare("tiny", OPTIONS, reload=True))
        await changed.wait()
        assert State.LOADING in {entry.state for entry in watched.repository.entries()}
        load.cancel()
        with pytest.raises(asyncio.CancelledError):
            await load
        assert {entry.version: entry.state for entry in watched.repository.entries()} == {
            1: State.READY,
            2: State.UNAVAILABLE,
        }
        watched.repository.commit(await watched.repository.prepare("tiny", OPTIONS, reload=True))
        assert watched.served == {"tiny": [2]}
        watched.repository.close()

    check()


def test_a_model_is_reached_by_its_folder_and_by_nothing_else(root: Path) -> None:
    write(root)
    write(root, 1, ".hidden")
    for odd in ("0", "01", "-1", "x", "１"):
        (root / "tiny" / odd).mkdir()
        shutil.copy(root / "tiny" / "1" / "model.onnx", root / "tiny" / odd)
    (root / "tiny" / "2").mkdir()
    assert {name: list(versions) for name, versions in scan(root).items()} == {"tiny": [1]}
    with pytest.raises(RepositoryError, match="cannot be read"):
        scan(root / "nothing")
