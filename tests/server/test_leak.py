"""Many requests, good and bad: what the server's processes hold does not grow."""

from pathlib import Path

import numpy as np
import pytest

from conveyor.v1 import classifier_pb2 as pb
from conveyor.v1 import model_pb2
from conveyor_bench.processes import LoadProcesses, load_processes
from conveyor_bench.recorder import Recorder
from conveyor_bench.workload import CLASSIFY, ClosedLoop, Workload
from conveyor_contract.preprocessing import encode_png
from tests.counts import count
from tests.models import write_tiny_model
from tests.server.process import running
from tests.soak.sampling import Sample, look_at

LOOP = ClosedLoop(concurrency=32)
# Before, caches fill, buffers grow to their sizes and threads start as they are first needed.
WARM_UP = 2000
MAX_GROWTH = 0.05
SPARE_MIB = 4.0


def requests() -> tuple[bytes, ...]:
    """Pictures as PNG and as pixels, and some that cannot be answered."""
    pixels = np.arange(64, dtype=np.uint8).reshape(8, 8, 1)
    good = [
        pb.Image(encoded=encode_png(pixels)),
        pb.Image(encoded=encode_png(np.zeros((300, 200, 1), np.uint8))),
        pb.Image(
            pixels=pb.RawPixels(height=8, width=8, colour_mode=model_pb2.COLOUR_MODE_GRAYSCALE, data=pixels.tobytes())
        ),
    ]
    calls = [pb.ClassifyRequest(model_name="tiny", images=[image]) for image in good]
    calls.append(pb.ClassifyRequest(model_name="tiny", images=good))
    calls.append(pb.ClassifyRequest(model_name="tiny", images=[pb.Image(encoded=b"no picture")]))
    calls.append(pb.ClassifyRequest(model_name="nobody knows it", images=[good[0]]))
    return tuple(call.SerializeToString() for call in calls)


def send(load: LoadProcesses, most: int) -> Recorder:
    """At least so many requests, answered or refused as they should be."""
    total = Recorder()
    while total.answered + total.errors.total() < most:
        total.add(load.run(LOOP, 1.0).recorder)
    assert set(total.errors) == {"INVALID_ARGUMENT", "NOT_FOUND"}
    assert total.changed_answers == 0
    return total


def processes_of(pid: int) -> list[Sample]:
    """The process and all that it started, the largest first."""
    children = (Path(f"/proc/{pid}/task/{pid}/children")).read_text().split()
    own = look_at(pid)
    samples = [own] if own is not None else []
    for child in children:
        samples += processes_of(int(child))
    return sorted(samples, key=lambda each: -each.resident_mib)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("engine", ["grpcio", "envoy"])
def test_many_requests_leave_nothing_behind(tmp_path: Path, engine: str) -> None:
    if engine == "envoy":
        pytest.importorskip("pyvoy")
    write_tiny_model(tmp_path)
    with running(tmp_path, "--engine", engine) as server:
        workload = Workload(address=server.address, method=CLASSIFY, requests=requests(), connections=4)
        with load_processes(workload, 1) as load:
            send(load, WARM_UP)
            before = processes_of(server.pid)[0]
            sent = send(load, count("requests of the leak test"))
            after = processes_of(server.pid)[0]
    assert sent.answered > 0
    assert after.pid == before.pid
    assert after.resident_mib <= before.resident_mib * (1 + MAX_GROWTH) + SPARE_MIB, (before, after)
    assert after.own_threads.total() <= before.own_threads.total(), (before, after)
    assert after.descriptors <= before.descriptors, (before, after)
