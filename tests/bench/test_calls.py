"""The load's own client against grpcio's server: every code, large requests, limits, streams, lost connections."""

from __future__ import annotations  # generic only in the type stubs

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from conveyor.v1 import classifier_pb2
from conveyor_bench.header_blocks import grpc_status, request_block
from conveyor_bench.load import Load, Measured
from conveyor_bench.recorder import Recorder
from conveyor_bench.workload import CLASSIFY, CLASSIFY_STREAM, ClosedLoop, Loop, OpenLoop, Workload
from tests.clients.scripted import ScriptedServer

REQUEST = classifier_pb2.ClassifyRequest(model_name="m", images=[classifier_pb2.Image(encoded=b"x")])
RESULT = classifier_pb2.Result(answer=classifier_pb2.Answer(values=[1.0]))
ITEMS = tuple(
    classifier_pb2.ClassifyStreamRequest(
        model_name="m", image=classifier_pb2.Image(encoded=bytes([number]))
    ).SerializeToString()
    for number in range(5)
)


def measure(workload: Workload, loop: Loop, duration: float = 0.3) -> Measured:
    async def work() -> Measured:
        async with Load(workload) as load:
            return await load.run(loop, duration)

    return asyncio.run(work())


def workload_of(server: ScriptedServer, request: classifier_pb2.ClassifyRequest = REQUEST) -> Workload:
    return Workload(address=server.address, method=CLASSIFY, requests=(request.SerializeToString(),))


def test_every_code_is_known_by_name(server: ScriptedServer) -> None:
    codes = [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]
    server.script.failures = [(code, f"for a test: {code.name}") for code in codes]
    errors = measure(workload_of(server), ClosedLoop(concurrency=1)).recorder.errors
    assert errors == {code.name: 1 for code in codes}


def test_a_header_block_without_a_status_is_unknown() -> None:
    assert grpc_status(request_block("localhost", CLASSIFY, 1.0, False)) == "UNKNOWN"
    assert grpc_status(b"") == "UNKNOWN"
    assert grpc_status(b"\x40\x0bgrpc-status\x0214") == "UNAVAILABLE"


def test_requests_larger_than_every_window_arrive_whole(server: ScriptedServer) -> None:
    image = bytes(range(256)) * 4000  # about 1 MB; a stream's first window is 64 KB
    request = classifier_pb2.ClassifyRequest(model_name="m", images=[classifier_pb2.Image(encoded=image)])
    recorder = measure(workload_of(server, request), ClosedLoop(concurrency=6)).recorder
    assert recorder.answered > 6
    assert (recorder.errors, recorder.changed_answers) == ({}, 0)
    assert {each.images[0].encoded for each in server.script.requests} == {image}


def test_a_late_answer_is_given_up(server: ScriptedServer) -> None:
    server.script.delays = [0.6]
    workload = Workload(address=server.address, method=CLASSIFY, requests=(REQUEST.SerializeToString(),), timeout=0.2)
    recorder = measure(workload, ClosedLoop(concurrency=1)).recorder
    assert recorder.errors == {"DEADLINE_EXCEEDED": 1}


def test_lost_connections_are_replaced(server: ScriptedServer) -> None:
    async def work() -> Recorder:
        async with Load(workload_of(server)) as load:
            running = asyncio.create_task(load.run(OpenLoop(rate=100, arrivals="constant"), 1.0))
            await asyncio.sleep(0.3)
            for connection in load._connections._open:  # as if the network had dropped them
                assert connection is not None
                connection.close()
            return (await running).recorder

    recorder = asyncio.run(work())
    assert set(recorder.errors) <= {"UNAVAILABLE"}
    assert recorder.answered > 40
    assert recorder.answered + recorder.errors.total() == pytest.approx(99, abs=1)


@pytest.mark.parametrize("shuffled", [1, 3])
def test_items_of_streams_are_taken_in_order(server: ScriptedServer, shuffled: int) -> None:
    server.script.stream_shuffles = shuffled
    workload = Workload(address=server.address, method=CLASSIFY_STREAM, requests=ITEMS, streams=2, timeout=1.0)
    recorder = measure(workload, ClosedLoop(concurrency=6 * shuffled), 0.3).recorder
    assert recorder.answered > 20
    assert recorder.changed_answers == 0
    # What the server still holds back at the end is never answered.
    assert recorder.errors.total() <= 2 * (shuffled - 1)


def test_an_ended_stream_is_opened_again(server: ScriptedServer) -> None:
    server.script.stream_ends_after = 10
    workload = Workload(address=server.address, method=CLASSIFY_STREAM, requests=ITEMS)
    recorder = measure(workload, ClosedLoop(concurrency=2)).recorder
    assert recorder.answered > 15
    assert set(recorder.errors) == {"UNAVAILABLE"}


@pytest.fixture
def odd_server() -> Iterator[Callable[[bytes, int], str]]:
    """Starts a server that answers each item of a stream, or each call, with the same bytes; its address."""
    servers: list[grpc.Server] = []

    def start(answer: bytes, most_streams: int) -> str:
        def stream(requests: Iterator[bytes], context: object) -> Iterator[bytes]:
            yield from (answer for _ in requests)

        def single(request: bytes, context: object) -> bytes:
            time.sleep(0.002)
            return answer

        server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.max_concurrent_streams", most_streams)])
        handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
            "Classify": grpc.unary_unary_rpc_method_handler(single),
            "ClassifyStream": grpc.stream_stream_rpc_method_handler(stream),
        }
        handler = grpc.method_handlers_generic_handler("conveyor.v1.ClassifierService", handlers)
        server.add_generic_rpc_handlers((handler,))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        servers.append(server)
        return f"127.0.0.1:{port}"

    yield start
    for server in servers:
        server.stop(None).wait()


def test_an_item_answered_twice_is_no_answer(odd_server: Callable[[bytes, int], str]) -> None:
    answer = classifier_pb2.ClassifyStreamResponse(item_id=1, result=RESULT)
    workload = Workload(address=odd_server(answer.SerializeToString(), 100), method=CLASSIFY_STREAM, requests=ITEMS[:1])
    recorder = measure(workload, ClosedLoop(concurrency=2)).recorder
    assert recorder.answered == 1
    assert set(recorder.errors) == {"DATA_LOSS"}


def test_a_server_that_takes_few_calls_at_a_time_is_not_overrun(odd_server: Callable[[bytes, int], str]) -> None:
    answer = classifier_pb2.ClassifyResponse(results=[RESULT])
    workload = Workload(
        address=odd_server(answer.SerializeToString(), 8), method=CLASSIFY, requests=(REQUEST.SerializeToString(),)
    )
    recorder = measure(workload, ClosedLoop(concurrency=32)).recorder
    assert recorder.answered > 40
    # A call that has ended may count as open for a moment more on grpcio's side, and is refused: one for one at most,
    # on a busy machine. A client that took no notice of the limit would have three of four refused, again and again.
    assert set(recorder.errors) <= {"UNAVAILABLE"}
    assert recorder.errors.total() < 2 * recorder.answered
