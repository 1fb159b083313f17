"""The session that makes class activation maps: it goes with its model, and only so many wait for it."""

import asyncio
import gc
import weakref
from pathlib import Path

import numpy as np

from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.http.console.activation import MOST_ASKED, Activation
from conveyor_server.per_model import PerModel
from conveyor_server.repository import Repository
from tests.console.models import write_pooled_model
from tests.server.scripted import in_loop
from tests.server.test_repository import OPTIONS

ROW = np.random.default_rng(11).integers(0, 256, (8, 8, 1), np.uint8)


def test_the_second_session_goes_with_its_model(tmp_path: Path) -> None:
    path = write_pooled_model(tmp_path)

    @in_loop
    async def check() -> None:
        repository = Repository(tmp_path, OPTIONS)
        await repository.load_all()
        activations = PerModel(Activation)
        model = repository.find("pooled", "")
        activation = activations.of(model)
        maps = await asyncio.gather(*(activation.map(path, ROW, index, 10.0) for index in range(3)))
        assert [found.weighed.shape for found in maps] == [(4, 4)] * 3
        kept = weakref.ref(activation)
        del model, activation
        await repository.unload("pooled")
        async with asyncio.timeout(10):
            while kept() is not None:
                gc.collect()
                await asyncio.sleep(0.05)

    check()


def test_a_file_that_was_replaced_has_no_map_and_only_so_many_wait(tmp_path: Path) -> None:
    path = write_pooled_model(tmp_path)

    @in_loop
    async def check() -> None:
        repository = Repository(tmp_path, OPTIONS)
        await repository.load_all()
        model = repository.find("pooled", "")
        activation = Activation(model)
        asked = [asyncio.ensure_future(activation.map(path, ROW, 0, 10.0)) for _ in range(MOST_ASKED + 2)]
        # As if an earlier one took its time.
        with activation._turn:
            first, *_ = await asyncio.wait(asked, timeout=10, return_when=asyncio.FIRST_COMPLETED)
            assert first
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        refused = [outcome for outcome in outcomes if isinstance(outcome, ServingError)]
        assert [error.kind for error in refused] == [ErrorKind.QUEUE_FULL] * 2
        path.write_bytes(path.read_bytes() + b"\x08\x0a")
        assert not await Activation(model).is_offered(path, 10.0)
        repository.close()

    check()
