"""Requests that fail leave nothing to the garbage collector, which looks rarely: their rows would stay until then."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from conveyor_server.calls import CallError
from conveyor_server.engines.envoy.call import Call, Calls
from conveyor_server.errors import ServingError
from conveyor_server.statuses import Code
from tests.server.scripted import Bench, in_loop


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


class Rows(np.ndarray[Any, Any]):
    """Rows that can be referred to weakly."""


@pytest.mark.parametrize("way", ["late", "unloaded"])
def test_rows_go_with_the_request_that_failed(way: str) -> None:
    @in_loop
    async def scene() -> None:
        bench = Bench(batch=1)
        running = bench.submit(0)
        await bench.settle()
        seen: list[weakref.ref[Rows]] = []

        async def call() -> None:
            bench.batcher.admit(1)
            rows = np.zeros((1, 1), np.float32).view(Rows)
            seen.append(weakref.ref(rows))
            await bench.batcher.run(rows, 1.0 if way == "late" else None)

        waiting = asyncio.create_task(call())
        await bench.settle()
        if way == "late":
            bench.clock.now = 2.0
            bench.instance.finish()
            await running
        else:
            bench.batcher.close()
        with pytest.raises(ServingError):
            await waiting
        del waiting
        # Until the loop has let go of the task, too.
        await bench.settle()
        assert seen[0]() is None
        if way == "unloaded":
            bench.instance.finish()
            await running

    scene()


class Message:
    """What a call's frame holds."""


@in_loop
async def test_a_call_that_was_cut_off_goes_with_all_that_it_held() -> None:
    calls = Calls()
    seen: list[weakref.ref[Message]] = []

    async def handle() -> None:
        message = Message()
        seen.append(weakref.ref(message))
        call = Call({"client": None}, {}, calls)
        try:
            with call:
                asyncio.get_running_loop().call_soon(call.cut, CallError(Code.DEADLINE_EXCEEDED, "late"))
                await asyncio.sleep(60)
        except CallError:
            return

    await asyncio.create_task(handle())
    await asyncio.sleep(0)
    assert seen[0]() is None
