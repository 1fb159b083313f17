"""Images that wait for a thread to decode them wait no longer than their deadline, and are not decoded after it."""

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conveyor.v1 import classifier_pb2
from conveyor_contract.preprocessing import encode_png
from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.repository import Repository
from tests.server.scripted import in_loop
from tests.server.test_repository import OPTIONS, write

# Too large to be decoded in place.
IMAGE = classifier_pb2.Image(encoded=encode_png(np.zeros((300, 300, 1), np.uint8)))


class BusyPool(ThreadPoolExecutor):
    """One thread, which is busy until it is let go; remembers what it was given meanwhile."""

    def __init__(self) -> None:
        super().__init__(1)
        self.let_go = threading.Event()
        self.jobs: list[Future[Any]] = []
        super().submit(self.let_go.wait)

    def submit(self, *arguments, **named):  # type: ignore[no-untyped-def]  # Executor.submit's own signature
        job = super().submit(*arguments, **named)
        self.jobs.append(job)
        return job


@contextmanager
def busy_pool() -> Iterator[BusyPool]:
    """Free again at the end, whatever came between."""
    pool = BusyPool()
    try:
        yield pool
    finally:
        pool.let_go.set()
        pool.shutdown()


@pytest.mark.parametrize("default", [False, True], ids=["a caller's own deadline", "--default-timeout"])
def test_the_deadline_holds_while_the_pool_is_busy(tmp_path: Path, default: bool) -> None:
    write(tmp_path)

    @in_loop
    async def test() -> None:
        with busy_pool() as pool:
            options = replace(OPTIONS, decode_pool=pool, default_timeout=0.02 if default else 0.0)
            repository = Repository(tmp_path, options)
            await repository.load_all()
            model = repository.find("tiny", "")
            with pytest.raises(ServingError, match=r"after \d+ ms, while its images waited to be decoded") as late:
                await model.infer([IMAGE, IMAGE], None if default else time.monotonic() + 0.02)
            assert late.value.kind is ErrorKind.DEADLINE_PASSED
            assert not pool.let_go.is_set()
            assert [job.cancelled() for job in pool.jobs] == [True, True], "nobody wants them any more"
            assert model.batcher.waiting_rows == 0
            assert model.batcher.statistics.failures == {ErrorKind.DEADLINE_PASSED: 1}
            repository.close()

    test()


def test_without_a_deadline_images_wait_for_the_pool(tmp_path: Path) -> None:
    write(tmp_path)

    @in_loop
    async def test() -> None:
        with busy_pool() as pool:
            repository = Repository(tmp_path, replace(OPTIONS, decode_pool=pool))
            await repository.load_all()
            caller = asyncio.create_task(repository.find("tiny", "").infer([IMAGE], None))
            while not pool.jobs:  # noqa: ASYNC110 -- the pool has no event to wait for
                await asyncio.sleep(0.001)
            pool.let_go.set()
            assert (await caller).outcome is not None
            repository.close()

    test()
