"""Callers who leave, over each engine: what they asked for is dropped, and nobody else notices."""

import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from conveyor.v1 import classifier_pb2 as pb
from conveyor.v1.classifier_pb2_grpc import ClassifierServiceStub
from tests.counts import count
from tests.server.envoy.asking import channel_to, image, is_right, request
from tests.server.process import ServerProcess

ROOM = 4
SECONDS = 20


def fill(server: ServerProcess) -> list[grpc.Future]:
    """As many waiting calls as there is room for, and no more."""
    calls = [server.stub.Classify.future(request(index), timeout=60) for index in range(ROOM)]
    wait_until_full(server)
    return calls


def is_full(server: ServerProcess) -> bool:
    try:
        server.stub.Classify(request(0), timeout=0.5)
    except grpc.RpcError as error:
        return error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    raise AssertionError("answered, where every request waits")


def wait_until_full(server: ServerProcess) -> None:
    end = time.monotonic() + SECONDS
    while not is_full(server):
        assert time.monotonic() < end


def wait_for_room(server: ServerProcess) -> None:
    end = time.monotonic() + SECONDS
    while is_full(server):
        assert time.monotonic() < end, "a request whose caller has gone still takes room"


def test_a_cancelled_call_gives_its_room_back(slow_server: ServerProcess) -> None:
    calls = fill(slow_server)
    calls[0].cancel()
    wait_for_room(slow_server)
    assert not any(call.done() for call in calls[1:])


def test_a_broken_connection_gives_its_room_back(slow_server: ServerProcess) -> None:
    with channel_to(slow_server) as channel:
        stub = ClassifierServiceStub(channel)
        calls = [stub.Classify.future(request(index), timeout=60) for index in range(ROOM)]
        wait_until_full(slow_server)
    assert all(call.done() for call in calls)
    wait_for_room(slow_server)


def test_a_cancelled_stream_gives_its_room_back(slow_server: ServerProcess) -> None:
    never = threading.Event()

    def items():  # type: ignore[no-untyped-def]  # a generator handed to grpcio
        for index in range(ROOM):
            yield pb.ClassifyStreamRequest(item_id=index, image=image(index), model_name="tiny")
        never.wait(60)

    call = slow_server.stub.ClassifyStream(items(), timeout=60)
    wait_until_full(slow_server)
    call.cancel()
    never.set()
    wait_for_room(slow_server)


def test_a_deadline_that_passes_in_the_queue_is_told_on_time_and_gives_its_room_back(
    slow_server: ServerProcess,
) -> None:
    calls = fill(slow_server)
    calls.pop().cancel()
    wait_for_room(slow_server)
    started = time.monotonic()
    with pytest.raises(grpc.RpcError) as error:
        slow_server.stub.Classify(request(0), timeout=0.3)
    assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert 0.25 < time.monotonic() - started < 5
    wait_for_room(slow_server)


def test_a_full_queue_is_refused_with_a_hint_when_to_come_again(slow_server: ServerProcess) -> None:
    fill(slow_server)
    with pytest.raises(grpc.RpcError) as error:
        slow_server.stub.Classify(request(0), timeout=10)
    assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "grpc-retry-pushback-ms" in dict(error.value.trailing_metadata())


def test_in_a_storm_of_cancelled_calls_no_other_call_fails(server: ServerProcess, models: Path) -> None:
    outcomes: Counter[str] = Counter()
    channels = [channel_to(server) for _ in range(4)]
    stubs = [ClassifierServiceStub(channel) for channel in channels]

    def ask(number: int) -> str:
        stub, chance = stubs[number % len(stubs)], random.Random(number)
        if chance.random() < 0.15:
            call = stub.Classify.future(request(number), timeout=60)
            time.sleep(chance.random() * 0.002)
            call.cancel()
            return "cancelled"
        patience = chance.choice([0.0005, 0.002]) if chance.random() < 0.15 else 60
        try:
            response = stub.Classify(request(number), timeout=patience)
        except grpc.RpcError as error:
            if patience < 1 and error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
                return "expired"
            return f"{error.code()}: {error.details()}"
        return "right" if is_right(models, number, response) else "wrong"

    with ThreadPoolExecutor(24) as pool:
        outcomes.update(pool.map(ask, range(count("calls of a cancel storm"))))
    for channel in channels:
        channel.close()
    assert outcomes.keys() <= {"right", "cancelled", "expired"}, outcomes
    assert outcomes["right"] and outcomes["cancelled"] and outcomes["expired"]
