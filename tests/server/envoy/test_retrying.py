"""A standard client that retries by its service config, on each engine: what it is told applies, and nothing else."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2

from conveyor.v1 import classifier_pb2 as pb
from conveyor.v1.classifier_pb2_grpc import ClassifierServiceStub
from tests.server.envoy.asking import image, is_right, request
from tests.server.process import ServerProcess, running

ROOM = 4
# Milliseconds that a batch waits for company: as long as the queue is full at least.
HELD = "700"


def channel_that_retries(*addresses: str, codes: list[str], backoff: float = 0.01) -> grpc.Channel:
    """To all the addresses in turn. After `codes` it tries up to five times, by itself `backoff` seconds apart."""
    policy = {
        "maxAttempts": 5,
        "initialBackoff": f"{backoff}s",
        "maxBackoff": f"{backoff}s",
        "backoffMultiplier": 1,
        "retryableStatusCodes": codes,
    }
    methods = [{"name": [{}], "retryPolicy": policy}] if codes else []
    config = {"loadBalancingConfig": [{"round_robin": {}}], "methodConfig": methods}
    options = [("grpc.service_config", json.dumps(config)), ("grpc.use_local_subchannel_pool", 1)]
    return grpc.insecure_channel(f"ipv4:{','.join(addresses)}", options=options)


@contextmanager
def full_server(engine: str, models: Path) -> Iterator[ServerProcess]:
    """Its queue is full for a while."""
    with running(models, "--engine", engine, "--max-queue-delay", HELD, "--max-queue-size", str(ROOM)) as server:
        held = server.stub.Classify.future(
            pb.ClassifyRequest(model_name="tiny", images=[image(index) for index in range(ROOM)]), timeout=30
        )
        # Answered on the same connection, so what was asked before has arrived.
        assert server.health() == health_pb2.HealthCheckResponse.SERVING
        yield server
        assert held.result().results


def test_a_refused_call_is_tried_again_as_late_as_it_was_told(engine: str, models: Path) -> None:
    with (
        full_server(engine, models) as server,
        channel_that_retries(server.address, codes=["RESOURCE_EXHAUSTED"]) as channel,
    ):
        # Five tries 10 ms apart would all be refused.
        assert is_right(models, 3, ClassifierServiceStub(channel).Classify(request(3), timeout=20))


def test_a_refusal_that_the_policy_does_not_name_comes_at_once_with_all_its_words(engine: str, models: Path) -> None:
    with full_server(engine, models) as server, channel_that_retries(server.address, codes=["ABORTED"]) as channel:
        with pytest.raises(grpc.RpcError) as error:
            ClassifierServiceStub(channel).Classify(request(3), timeout=20, metadata=(("x-request-id", "seven"),))
        trailing = {pair.key: pair.value for pair in error.value.trailing_metadata() or ()}
        assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert error.value.details() == "the queue is full: 4 rows wait, and at most 4 may; try again later"
        assert 10 <= int(trailing["grpc-retry-pushback-ms"]) <= int(HELD) + 1000
        assert str(trailing["x-request-id"]) == "seven"


@pytest.fixture(scope="module")
def stopping_and_serving(engine: str, models: Path) -> Iterator[list[str]]:
    """The addresses of two servers, of which the first refuses all new work, because it has an answer to finish."""
    with (
        running(models, "--engine", engine, "--max-queue-delay", "60000", "--drain-timeout", "60") as stopping,
        running(models, "--engine", engine) as serving,
        channel_that_retries(stopping.address, serving.address, codes=["UNAVAILABLE"]) as channel,
    ):
        held = stopping.stub.Classify.future(request(0), timeout=60)
        assert stopping.health() == health_pb2.HealthCheckResponse.SERVING
        grpc.channel_ready_future(channel).result(20)
        stopping.signal()
        stopping.wait_for_log("stopping in order")
        wait_until_refused(stopping)
        yield [stopping.address, serving.address]
        held.cancel()


def wait_until_refused(server: ServerProcess) -> None:
    while True:
        try:
            server.stub.Classify(request(0), timeout=0.2)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.UNAVAILABLE:
                return


def test_calls_that_a_stopping_server_refuses_succeed_at_another(stopping_and_serving: list[str], models: Path) -> None:
    with channel_that_retries(*stopping_and_serving, codes=["UNAVAILABLE"]) as channel:
        stub = ClassifierServiceStub(channel)
        assert all(is_right(models, index, stub.Classify(request(index), timeout=20)) for index in range(50))


def test_streams_that_a_stopping_server_refuses_succeed_at_another(
    stopping_and_serving: list[str], models: Path
) -> None:
    with channel_that_retries(*stopping_and_serving, codes=["UNAVAILABLE"]) as channel:
        stub = ClassifierServiceStub(channel)
        for _ in range(20):
            answered = threading.Event()

            def items(answered: threading.Event = answered) -> Iterator[pb.ClassifyStreamRequest]:
                yield pb.ClassifyStreamRequest(item_id=1, image=image(1), model_name="tiny")
                answered.wait(20)

            call = stub.ClassifyStream(items(), timeout=20)
            assert next(call).item_id == 1
            answered.set()
            assert list(call) == []
