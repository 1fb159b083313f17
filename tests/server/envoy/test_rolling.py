"""One server after another takes its predecessor's place behind a load balancer, on each engine."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest

from conveyor.v1.classifier_pb2_grpc import ClassifierServiceStub
from tests.counts import count
from tests.server.envoy.asking import is_right, request
from tests.server.envoy.balancer import Balancer
from tests.server.envoy.conftest import needs
from tests.server.envoy.test_retrying import channel_that_retries
from tests.server.process import running

CALLERS = 3
CHANNELS = 3


def ask_until(end: threading.Event, channel: grpc.Channel, models: Path) -> tuple[int, list[object]]:
    """How many calls were answered right, and what the others came to."""
    stub, right = ClassifierServiceStub(channel), 0
    bad: list[object] = []
    while not end.is_set():
        try:
            response = stub.Classify(request(right), timeout=20)
        except grpc.RpcError as error:
            bad.append((error.code(), error.details()))
            continue
        if is_right(models, right, response):
            right += 1
        else:
            bad.append(response)
    return right, bad


@pytest.mark.parametrize(
    ("carrier", "retryable"),
    # grpcio asks callers to go only when it closes its port: before that, it refuses, and who retries loses nothing.
    [("envoy", []), ("grpcio", ["UNAVAILABLE"])],
)
def test_callers_that_never_pause_lose_no_call(carrier: str, retryable: list[str], models: Path) -> None:
    needs(carrier)
    flags, end = ("--engine", carrier, "--drain-timeout", "20"), threading.Event()
    with (
        ExitStack() as servers,
        running(models, *flags) as first,
        Balancer(first.address) as balancer,
        ThreadPoolExecutor(CALLERS) as pool,
    ):
        old = first
        channels = [channel_that_retries(balancer.address, codes=retryable, backoff=0.5) for _ in range(CHANNELS)]
        results = [pool.submit(ask_until, end, channels[number % CHANNELS], models) for number in range(CALLERS)]
        try:
            for _ in range(count("rolling restarts")):
                new = servers.enter_context(running(models, *flags))
                balancer.target = new.address
                old.signal()
                started = time.monotonic()
                assert old.wait() == 0
                # Who never pauses does not hold it up.
                assert time.monotonic() - started < 10
                old = new
        finally:
            end.set()
        outcomes = [result.result() for result in results]
        for channel in channels:
            channel.close()
    assert [bad for _, bad in outcomes] == [[]] * CALLERS
    assert min(right for right, _ in outcomes) > 0
