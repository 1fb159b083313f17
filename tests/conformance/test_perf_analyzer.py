"""NVIDIA's perf_analyzer: its calls, made here as it makes them, and where it is on PATH the program itself."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import grpc
import pytest
from tritonclient.grpc import model_config_pb2
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub

from tests.conformance.asking import SECONDS, images
from tests.conformance.models import MAX_BATCH_SIZE

MODEL = "tiny"
REQUESTS = 120
# Requests at the same time, and connections: its clients share them, and each may lead to another worker.
CONCURRENCY, CONNECTIONS = 8, 4
PARTS = ("queue", "compute_input", "compute_infer", "compute_output")


@contextmanager
def stubs(url: str, number: int = CONNECTIONS) -> Iterator[list[GRPCInferenceServiceStub]]:
    """So many connections of their own."""
    channels = [grpc.insecure_channel(url, options=[("grpc.use_local_subchannel_pool", 1)]) for _ in range(number)]
    yield [GRPCInferenceServiceStub(channel) for channel in channels]
    for channel in channels:
        channel.close()


def test_before_it_measures_it_learns_what_to_send(url: str) -> None:
    with stubs(url, 1) as [stub]:
        metadata = stub.ModelMetadata(pb.ModelMetadataRequest(name=MODEL), timeout=SECONDS)
        config = stub.ModelConfig(pb.ModelConfigRequest(name=MODEL), timeout=SECONDS).config
        server = stub.ServerMetadata(pb.ServerMetadataRequest(), timeout=SECONDS)
    # Without, it shows only what it measures itself.
    assert "statistics" in server.extensions
    # It takes the first dimension for the batch's, and makes up tensors only where the others are known.
    assert config.max_batch_size >= 1
    assert [tensor.shape[0] for tensor in (*metadata.inputs, *metadata.outputs)] == [-1, -1]
    assert all(size > 0 for tensor in metadata.inputs for size in tensor.shape[1:])
    assert {tensor.name for tensor in config.input} <= {tensor.name for tensor in metadata.inputs}
    assert {tensor.name for tensor in config.output} <= {tensor.name for tensor in metadata.outputs}
    # Each of these would have it ask in another way.
    assert not config.HasField("sequence_batching")
    assert not config.HasField("ensemble_scheduling")
    assert config.platform != "ensemble"
    assert not config.model_transaction_policy.decoupled
    assert not config.response_cache.enable
    assert not any(tensor.optional or tensor.is_shape_tensor for tensor in config.input)
    assert all(tensor.data_type != model_config_pb2.TYPE_INVALID for tensor in config.input)


class Way(Protocol):
    """Sends requests on one connection; the seconds that each took its caller."""

    def __call__(self, stub: GRPCInferenceServiceStub, requests: list[pb.ModelInferRequest]) -> list[float]: ...


def call_by_call(stub: GRPCInferenceServiceStub, requests: list[pb.ModelInferRequest]) -> list[float]:
    """With as many in flight as fall to one connection."""

    def ask(request: pb.ModelInferRequest) -> float:
        started = time.perf_counter()
        check(request, stub.ModelInfer.future(request, timeout=SECONDS).result())
        return time.perf_counter() - started

    with ThreadPoolExecutor(CONCURRENCY // CONNECTIONS) as pool:
        return list(pool.map(ask, requests))


def streaming(stub: GRPCInferenceServiceStub, requests: list[pb.ModelInferRequest]) -> list[float]:
    """In one stream, all at once."""
    seconds = []
    started = time.perf_counter()
    answers = stub.ModelStreamInfer(iter(requests), timeout=SECONDS)
    for request, answer in zip(requests, answers, strict=True):
        assert not answer.error_message
        check(request, answer.infer_response)
        seconds.append(time.perf_counter() - started)
    return seconds


def request_of(number: int, rows: int, way: Way) -> pb.ModelInferRequest:
    """As its C++ client writes it: outputs by name, raw contents, and a parameter in every request."""
    request = pb.ModelInferRequest(model_name=MODEL, id=str(number), raw_input_contents=[images(rows).tobytes()])
    request.parameters["triton_enable_empty_final_response"].bool_param = way is streaming
    request.inputs.add(name="image", datatype="UINT8", shape=[rows, 8, 8, 1])
    request.outputs.add(name="probabilities")
    return request


def check(request: pb.ModelInferRequest, response: pb.ModelInferResponse) -> None:
    """It indexes the raw contents without looking whether they are there."""
    assert response.id == request.id
    assert [output.name for output in response.outputs] == ["probabilities"]
    assert len(response.raw_output_contents) == 1
    is_marked = request.parameters["triton_enable_empty_final_response"].bool_param
    assert response.parameters["triton_final_response"].bool_param == is_marked


@dataclass
class Window:
    """What it computes of the statistics at a window's two ends."""

    before: pb.ModelStatisticsResponse
    after: pb.ModelStatisticsResponse

    def __post_init__(self) -> None:
        started = {(stats.name, int(stats.version)): stats for stats in self.before.model_stats}
        # Which version answered it knows by the queue's count alone.
        rising = [
            (started[stats.name, int(stats.version)], stats)
            for stats in self.after.model_stats
            if stats.inference_stats.queue.count > started[stats.name, int(stats.version)].inference_stats.queue.count
        ]
        [(self._start, self._end)] = rising

    def rises(self, name: str) -> int:
        """By how much a counter of the model rose."""
        return int(getattr(self._end, name) - getattr(self._start, name))

    def times(self, part: str) -> tuple[int, int]:
        """The count and the nanoseconds of a part of the requests in the window."""
        start, end = (getattr(stats.inference_stats, part) for stats in (self._start, self._end))
        return end.count - start.count, end.ns - start.ns


@pytest.mark.parametrize("rows", [1, 4])
@pytest.mark.parametrize("way", [call_by_call, streaming])
def test_what_it_computes_of_a_window_adds_up(url: str, way: Way, rows: int) -> None:
    requests = [request_of(number, rows, way) for number in range(REQUESTS)]
    wanted = pb.ModelStatisticsRequest(name=MODEL)
    with stubs(url) as asked, ThreadPoolExecutor(CONNECTIONS) as pool:
        before = asked[0].ModelStatistics(wanted, timeout=SECONDS)
        parts = [requests[index::CONNECTIONS] for index in range(CONNECTIONS)]
        seconds = [each for part in pool.map(way, asked, parts) for each in part]
        # Another connection, which may lead to another worker.
        after = asked[1].ModelStatistics(wanted, timeout=SECONDS)
    window = Window(before, after)
    assert len(seconds) == REQUESTS
    assert window.rises("inference_count") == REQUESTS * rows
    assert REQUESTS * rows / MAX_BATCH_SIZE <= window.rises("execution_count") <= REQUESTS
    assert window.times("fail") == (0, 0)
    assert [window.times(part)[0] for part in ("success", *PARTS)] == [REQUESTS] * 5
    whole, in_parts = window.times("success")[1], sum(window.times(part)[1] for part in PARTS)
    # What it calls overhead is the rest, and it shows none below zero. Each is cut off at a whole nanosecond.
    assert 0 < in_parts <= whole + 1 + len(PARTS)
    assert all(window.times(part)[1] > 0 for part in PARTS)
    assert whole / 1e9 <= sum(seconds), "the server's part of a request's time is less than the whole"


@pytest.mark.parametrize(
    "options", [["--async", "-b", "2"], ["--sync"], ["--streaming"], ["--shared-memory", "system"]]
)
def test_the_program_itself_measures(url: str, options: list[str]) -> None:
    program = shutil.which("perf_analyzer")
    if program is None:
        pytest.skip("perf_analyzer is not on PATH")
    # Whatever the machine's speed, and however uneven, three windows of a hundred requests are a measurement.
    windows = ["--measurement-mode", "count_windows", "--measurement-request-count", "100", "-s", "999"]
    command = [program, "-m", MODEL, "-u", url, "-i", "grpc", "--concurrency-range", "4", *windows, *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    shown = done.stdout.partition("  Server: ")[2]
    assert "Successful request count: " in shown, done.stdout + done.stderr
    assert "compute infer" in shown
