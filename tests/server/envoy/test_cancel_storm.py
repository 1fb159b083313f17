"""Many callers on few connections, some of whom leave: nobody else notices, for as long as it goes on."""

from __future__ import annotations  # generic only in the type stubs

import random
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from conveyor.v1.classifier_pb2_grpc import ClassifierServiceStub
from tests.counts import count, is_full
from tests.server.envoy.asking import channel_to, is_right, request
from tests.server.process import ServerProcess
from tests.server.resident import has_not_grown, processes_of

CALLERS, CONNECTIONS = 24, 4
# Of ten calls one is cancelled, and one has no time to wait.
LEAVING = 0.1
# On however slow a machine.
LEAST_CALLS = 50
# Before memory is looked at, as a share of the storm: caches fill, and buffers grow to their sizes.
WARM_UP = 0.25


class Storm:
    """Calls that end in many ways, counted by how."""

    def __init__(self, models: Path, stubs: list[ClassifierServiceStub]) -> None:
        self._models = models
        self._stubs = stubs

    def blow(self, seconds: float) -> Counter[str]:
        """All callers at once, for so long."""
        end = time.monotonic() + seconds
        with ThreadPoolExecutor(CALLERS) as pool:
            return sum(pool.map(lambda caller: self._call_until(end, caller), range(CALLERS)), Counter())

    def _call_until(self, end: float, caller: int) -> Counter[str]:
        chance = random.Random(caller)
        outcomes: Counter[str] = Counter()
        while time.monotonic() < end or outcomes.total() < LEAST_CALLS:
            stub = self._stubs[caller % len(self._stubs)]
            outcomes[self._outcome(stub, outcomes.total(), chance)] += 1
        return outcomes

    def _outcome(self, stub: ClassifierServiceStub, number: int, chance: random.Random) -> str:
        draw = chance.random()
        if draw < LEAVING:
            call = stub.Classify.future(request(number), timeout=60)
            time.sleep(chance.random() * 0.002)
            call.cancel()
            return "cancelled"
        hurried = draw < 2 * LEAVING
        try:
            response = stub.Classify(request(number), timeout=chance.choice([0.0005, 0.002]) if hurried else 60)
        except grpc.RpcError as error:
            expired = hurried and error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
            return "expired" if expired else f"{error.code()}: {error.details()}"
        return "right" if is_right(self._models, number, response) else "wrong"


@pytest.fixture
def storm(server: ServerProcess, models: Path) -> Iterator[Storm]:
    channels = [channel_to(server) for _ in range(CONNECTIONS)]
    yield Storm(models, [ClassifierServiceStub(channel) for channel in channels])
    for channel in channels:
        channel.close()


def test_in_a_storm_of_cancelled_calls_no_other_call_fails_and_memory_is_flat(
    server: ServerProcess, storm: Storm
) -> None:
    seconds = count("seconds of a cancel storm")
    outcomes = storm.blow(WARM_UP * seconds)
    before = processes_of(server.pid)
    outcomes += storm.blow(seconds)
    after = processes_of(server.pid)
    assert outcomes.keys() == {"right", "cancelled", "expired"}, outcomes
    # A short storm is its own warm-up.
    if is_full():
        assert all(map(has_not_grown, before, after)), (before, after)
