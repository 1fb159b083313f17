"""Callers who leave, over each engine: what they asked for is dropped, and nobody else notices."""

from __future__ import annotations  # generic only in the type stubs

import threading
import time
from collections.abc import Iterator

import grpc
import pytest

from conveyor.v1 import classifier_pb2 as pb
from conveyor.v1.classifier_pb2_grpc import ClassifierServiceStub
from tests.server.envoy.asking import channel_to, image, request
from tests.server.process import ServerProcess

ROOM = 4
SECONDS = 20


def fill(server: ServerProcess, stub: ClassifierServiceStub) -> grpc.Future[pb.ClassifyResponse]:
    """A call that waits, with as many images as there is room for."""
    asked = pb.ClassifyRequest(model_name="tiny", images=[image(index) for index in range(ROOM)])
    while True:
        call = stub.Classify.future(asked, timeout=60)
        # It is refused when the question whether the server is full came first, and took room itself.
        while not call.done():
            if is_full(server):
                return call


def is_full(server: ServerProcess) -> bool:
    try:
        server.stub.Classify(request(0), timeout=0.5)
    except grpc.RpcError as error:
        return error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    raise AssertionError("answered, where every request waits")


def wait_for_room(server: ServerProcess) -> None:
    end = time.monotonic() + SECONDS
    while is_full(server):
        assert time.monotonic() < end, "a request whose caller has gone still takes room"


def test_a_cancelled_call_gives_its_room_back(slow_server: ServerProcess) -> None:
    fill(slow_server, slow_server.stub).cancel()
    wait_for_room(slow_server)


def test_a_broken_connection_gives_its_room_back(slow_server: ServerProcess) -> None:
    with channel_to(slow_server) as channel:
        call = fill(slow_server, ClassifierServiceStub(channel))
    assert call.done()
    wait_for_room(slow_server)


def test_a_cancelled_stream_gives_its_room_back(slow_server: ServerProcess) -> None:
    sent, ended = threading.Event(), threading.Event()

    def items() -> Iterator[pb.ClassifyStreamRequest]:
        for index in range(ROOM):
            yield pb.ClassifyStreamRequest(item_id=index, image=image(index), model_name="tiny")
        sent.set()
        ended.wait(60)

    call = slow_server.stub.ClassifyStream(items(), timeout=60)
    assert sent.wait(20)
    # What is sent later on the same connection arrives later.
    slow_server.health()
    assert is_full(slow_server)
    call.cancel()
    ended.set()
    wait_for_room(slow_server)


def test_a_deadline_that_passes_in_the_queue_is_told_on_time(slow_server: ServerProcess) -> None:
    started = time.monotonic()
    with pytest.raises(grpc.RpcError) as error:
        slow_server.stub.Classify(request(0), timeout=0.3)
    assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert 0.25 < time.monotonic() - started < 5


def test_a_deadline_that_passes_gives_its_room_back(slow_server: ServerProcess) -> None:
    asked = pb.ClassifyRequest(model_name="tiny", images=[image(0)] * ROOM)
    with pytest.raises(grpc.RpcError):
        slow_server.stub.Classify(asked, timeout=0.3)
    wait_for_room(slow_server)


def test_a_full_queue_is_refused_with_a_hint_when_to_come_again(slow_server: ServerProcess) -> None:
    held = fill(slow_server, slow_server.stub)
    with pytest.raises(grpc.RpcError) as error:
        slow_server.stub.Classify(request(0), timeout=10)
    assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "grpc-retry-pushback-ms" in [pair.key for pair in error.value.trailing_metadata() or ()]
    held.cancel()
    wait_for_room(slow_server)
