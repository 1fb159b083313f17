"""Clients while two servers are restarted one after the other: a loop of calls, and streams."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from conveyor_bench.server_process import ServerProcess, conveyor_command, running
from conveyor_client import AsyncClient, Client
from conveyor_contract.preprocessing import encode_png
from tests.counts import count
from tests.models import write_tiny_model

ROWS = np.random.default_rng(1).integers(0, 256, (50, 8, 8, 1), np.uint8)
IMAGES = [encode_png(row) for row in ROWS]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_tiny_model(folder)
    return folder


@pytest.fixture(scope="module")
def labels(repository: Path) -> list[str]:
    [expected] = onnxruntime.InferenceSession(repository / "tiny/1/model.onnx").run(None, {"image": ROWS})
    return [f"class {index}" for index in expected.argmax(axis=1)]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def serve(repository: Path, port: int) -> AbstractContextManager[ServerProcess]:
    """Starts a server on the port; back once it is ready, and stopped in order at the end of the block."""
    return running(conveyor_command("serve", repository, "--port", str(port), "--http-port", "0"))


class Restarts:
    """A thread that runs servers on the ports, and restarts each in turn until it is told to stop."""

    def __init__(self, repository: Path, ports: list[int]) -> None:
        self._repository = repository
        self._ports = ports
        self._stop = threading.Event()
        self.up = threading.Event()
        self.both_done = threading.Event()
        self.done = 0
        self.exit_codes: list[int | None] = []
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Restarts":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            servers = [self._start(port) for port in self._ports]
            self.up.set()
            while not self._stop.wait(0.2):
                place = self.done % len(self._ports)
                self._end(servers[place])
                servers[place] = self._start(self._ports[place])
                self.done += 1
                if self.done == len(servers):
                    self.both_done.set()
            for server in servers:
                self._end(server)
        finally:
            self.up.set()
            self.both_done.set()

    def _start(self, port: int) -> tuple[AbstractContextManager[ServerProcess], ServerProcess]:
        context = serve(self._repository, port)
        return context, context.__enter__()

    def _end(self, server: tuple[AbstractContextManager[ServerProcess], ServerProcess]) -> None:
        context, process = server
        context.__exit__(None, None, None)
        self.exit_codes.append(process.exit_code)


def test_a_rolling_restart_shows_in_no_call(repository: Path, labels: list[str]) -> None:
    ports = [free_port(), free_port()]
    calls = count("calls of a rolling restart")
    with (
        Restarts(repository, ports) as restarts,
        Client(",".join(f"127.0.0.1:{port}" for port in ports)) as client,
    ):
        assert restarts.up.wait(120)
        number = 0
        while number < calls or restarts.done < 2:  # each server at least once
            place = number % len(IMAGES)
            assert client.classify(IMAGES[place], model="tiny").label == labels[place], number
            number += 1
    assert restarts.done >= 2
    assert set(restarts.exit_codes) == {0}


def test_streams_outlive_their_servers(repository: Path, labels: list[str]) -> None:
    """Two streams, one of either client, with images under way whenever a server stops."""
    ports = [free_port(), free_port()]
    address = ",".join(f"127.0.0.1:{port}" for port in ports)
    rounds = 8

    def images(restarts: Restarts) -> Iterator[bytes]:
        for number in range(rounds * len(IMAGES)):
            if number == rounds * len(IMAGES) // 2:
                restarts.both_done.wait(60)
            yield IMAGES[number % len(IMAGES)]

    async def with_asyncio(restarts: Restarts) -> list[str]:
        async def taken() -> AsyncIterator[bytes]:
            everything = images(restarts)
            while (image := await asyncio.to_thread(next, everything, None)) is not None:
                yield image

        async with AsyncClient(address) as client:
            return [answer.label async for answer in client.stream(taken(), model="tiny")]

    def with_threads(restarts: Restarts) -> list[str]:
        with Client(address) as client:
            return [answer.label for answer in client.stream(images(restarts), model="tiny")]

    with Restarts(repository, ports) as restarts, ThreadPoolExecutor() as pool:
        assert restarts.up.wait(120)
        found = pool.submit(with_threads, restarts)
        assert asyncio.run(asyncio.wait_for(with_asyncio(restarts), 120)) == labels * rounds
        assert found.result(120) == labels * rounds
        assert restarts.done >= 2
