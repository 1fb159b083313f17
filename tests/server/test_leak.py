"""Many requests, good and bad: what the server's processes hold does not grow."""

import os
from pathlib import Path

import numpy as np
import pytest

from conveyor.v1 import classifier_pb2 as pb
from conveyor.v1 import model_pb2
from conveyor_bench.processes import LoadProcesses, load_processes
from conveyor_bench.recorder import Recorder
from conveyor_bench.workload import CLASSIFY, ClosedLoop, Workload
from conveyor_contract.preprocessing import encode_png
from conveyor_server.answers import ClassifyAnswers, StreamAnswers
from conveyor_server.batch import Outcome
from conveyor_server.model import Inference
from tests.counts import count
from tests.models import write_tiny_model
from tests.server.process import running
from tests.server.resident import has_not_grown, processes_of
from tests.server.scripted import in_loop
from tests.server.traffic.scripted import rows, version
from tests.soak.sampling import look_at

LOOP = ClosedLoop(concurrency=32)
# Before, caches fill, buffers grow to their sizes and threads start as they are first needed.
WARM_UP = 2000
# So many that less than the smallest block of memory for each would be seen.
ANSWERS, BYTES_PER_ANSWER = 50_000, 32


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


def own_memory() -> float:
    """MiB of this process."""
    sample = look_at(os.getpid())
    assert sample is not None
    return sample.resident_mib


@in_loop
async def test_answers_that_were_sent_leave_nothing_behind() -> None:
    model = version(1).model
    inference = Inference(rows(0), 0.001, Outcome(rows(0), 0.001, 0.001, 1))
    single, stream = ClassifyAnswers(model), StreamAnswers(model)

    def answer(calls: int) -> None:
        for number in range(calls):
            single.answer(inference, top_k=1, request_id="a-name-of-some-length")
            stream.answer(number, inference, top_k=1)

    answer(WARM_UP)
    before = own_memory()
    answer(ANSWERS)
    assert own_memory() - before < ANSWERS * BYTES_PER_ANSWER / 2**20


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
    assert has_not_grown(before, after), (before, after)
    assert after.own_threads.total() <= before.own_threads.total(), (before, after)
    assert after.descriptors <= before.descriptors, (before, after)
