"""A few huge images: once they are answered, the system has the memory back that they took."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from conveyor.v1 import classifier_pb2 as pb
from conveyor_contract.preprocessing import encode_png
from tests.models import write_tiny_model
from tests.server.envoy.asking import request
from tests.server.process import ServerProcess, running
from tests.server.resident import processes_of

# Decoded 60 MiB, in a file of some hundred kilobytes.
SIDE = 4500
CALLERS = 6
PATIENCE_SECONDS = 60.0
# What the allocator may keep of it.
KEPT = 0.2


def ask_for_huge_ones(server: ServerProcess) -> float:
    """MiB of the largest process at the worst moment that was seen."""
    huge = pb.Image(encoded=encode_png(np.zeros((SIDE, SIDE, 3), np.uint8)))
    call = pb.ClassifyRequest(model_name="tiny", images=[huge, huge])
    most = 0.0
    with ThreadPoolExecutor(CALLERS) as callers:
        answers = [callers.submit(server.stub.Classify, call, timeout=120) for _ in range(CALLERS)]
        while not all(answer.done() for answer in answers):
            most = max(most, processes_of(server.pid)[0].resident_mib)
            time.sleep(0.01)
    assert all(not result.error.code for answer in answers for result in answer.result().results)
    return most


@pytest.mark.parametrize(("engine", "workers"), [("grpcio", 1), ("grpcio", 2), ("envoy", 1)])
def test_the_memory_of_huge_images_is_given_back(tmp_path: Path, engine: str, workers: int) -> None:
    if engine == "envoy":
        pytest.importorskip("pyvoy")
    write_tiny_model(tmp_path)
    with running(tmp_path, "--engine", engine, "--workers", str(workers)) as server:
        small = pb.Image(encoded=encode_png(np.zeros((300, 200, 1), np.uint8)))
        for _ in range(20):
            server.stub.Classify(request(0), timeout=20)
            server.stub.Classify(pb.ClassifyRequest(model_name="tiny", images=[small] * 8), timeout=20)
        before = processes_of(server.pid)[0]
        most = ask_for_huge_ones(server)
        assert most > before.resident_mib + 50
        end = time.monotonic() + PATIENCE_SECONDS
        allowed = before.resident_mib + KEPT * (most - before.resident_mib)
        while (now := processes_of(server.pid)[0].resident_mib) > allowed:
            assert time.monotonic() < end, (before.resident_mib, most, now)
            time.sleep(0.2)
