"""A caller that does nothing but open calls and drop them: it is cut off, and others do not notice. Envoy alone."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from conveyor.v1.classifier_pb2_grpc import ClassifierServiceStub
from conveyor_bench.header_blocks import request_block
from conveyor_bench.http2 import Connection
from conveyor_server.engines.envoy.configuration import MAX_PREMATURE_RESETS
from tests.server.envoy.asking import channel_to, is_right, request
from tests.server.envoy.test_calls import CLASSIFY
from tests.server.process import ServerProcess, running

pytestmark = pytest.mark.usefixtures("envoy")

# Calls opened and dropped between two looks whether the connection is still there.
AT_ONCE = 200
OTHERS = 3


async def drop_calls(address: str) -> int:
    """Opens calls and drops each at once until the server closes the connection; returns how many those were."""
    host, _, port = address.rpartition(":")
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(Connection, host, int(port))
    await connection.configured
    block, dropped = request_block(address, CLASSIFY, 60.0, tls=False), 0
    while connection.usable and dropped < 6 * MAX_PREMATURE_RESETS:
        for _ in range(AT_ONCE):
            call = connection.start(block, b"", False, lambda message: None, lambda code: None)
            connection.cancel(call, "CANCELLED")
        dropped += AT_ONCE
        await asyncio.sleep(0.001)
    connection.close()
    return dropped


def ask_until(end: Event, server: ServerProcess, models: Path) -> tuple[int, list[str]]:
    """How many of an ordinary caller's calls were answered right, and what else happened."""
    right, bad = 0, []
    with channel_to(server) as channel:
        stub = ClassifierServiceStub(channel)
        while not end.is_set() or not right:
            try:
                response = stub.Classify(request(right), timeout=30)
            except Exception as error:
                bad.append(str(error))
                break
            if not is_right(models, right, response):
                bad.append("a wrong answer")
            right += 1
            time.sleep(0.005)
    return right, bad


def test_who_only_drops_calls_is_cut_off_and_nobody_else_is(models: Path) -> None:
    end = Event()
    with running(models, "--engine", "envoy") as server, ThreadPoolExecutor(OTHERS) as pool:
        others = [pool.submit(ask_until, end, server, models) for _ in range(OTHERS)]
        try:
            dropped = asyncio.run(drop_calls(server.address))
        finally:
            end.set()
        outcomes = [other.result() for other in others]
        # Not before what the setting says, and not much later.
        assert MAX_PREMATURE_RESETS <= dropped < 6 * MAX_PREMATURE_RESETS
        assert [bad for _, bad in outcomes] == [[]] * OTHERS
        assert is_right(models, 0, server.stub.Classify(request(0), timeout=30))
