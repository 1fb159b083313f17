"""Calls over each engine: the same answers, the same refusals, the same limits."""

import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from conveyor.v1 import classifier_pb2 as pb
from conveyor.v1 import model_pb2
from tests.server.envoy.asking import ROWS, channel_to, image, is_right, label_of, request, right_labels
from tests.server.envoy.conftest import MAX_MESSAGE_BYTES
from tests.server.process import ServerProcess

CLASSIFY = "/conveyor.v1.ClassifierService/Classify"
STREAM = "/conveyor.v1.ClassifierService/ClassifyStream"


def refused(call: Callable[[], object]) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as error:
        call()
    return error.value.code(), error.value.details() or ""


def raw(server: ServerProcess) -> Callable[..., bytes]:
    """Classify with bytes that no protobuf library made."""
    return server.channel.unary_unary(CLASSIFY, request_serializer=bytes, response_deserializer=bytes)


def test_one_call_is_answered_right(server: ServerProcess, models: Path) -> None:
    assert all(is_right(models, index, server.stub.Classify(request(index), timeout=10)) for index in range(len(ROWS)))


def test_many_callers_at_once_each_get_their_own_answer(server: ServerProcess, models: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        responses = pool.map(lambda index: server.stub.Classify(request(index), timeout=20), range(400))
        assert all(is_right(models, index, response) for index, response in enumerate(responses))


def test_a_stream_answers_every_item(server: ServerProcess, models: Path) -> None:
    items = (pb.ClassifyStreamRequest(item_id=n, image=image(n), model_name="tiny") for n in range(500))
    answers = {answer.item_id: label_of(answer.result) for answer in server.stub.ClassifyStream(items, timeout=30)}
    assert answers == {n: right_labels(models)[n % len(ROWS)] for n in range(500)}


def test_a_stream_is_a_conversation(server: ServerProcess) -> None:
    answered = threading.Semaphore(1)

    def ask_when_answered() -> Iterator[pb.ClassifyStreamRequest]:
        for n in range(5):
            assert answered.acquire(timeout=10)
            yield pb.ClassifyStreamRequest(item_id=n, image=image(n), model_name="tiny")

    heard = []
    for answer in server.stub.ClassifyStream(ask_when_answered(), timeout=30):
        heard.append(answer.item_id)
        answered.release()
    assert heard == [0, 1, 2, 3, 4]


def test_a_stream_without_items_ends_without_answers(server: ServerProcess) -> None:
    assert list(server.stub.ClassifyStream(iter(()), timeout=10)) == []


def test_the_contract_health_and_reflection_are_served(server: ServerProcess) -> None:
    contract = server.stub.GetModel(pb.GetModelRequest(model_name="tiny"), timeout=10).contract
    assert list(contract.labels) == ["class 0", "class 1", "class 2"]
    assert server.health("tiny") == health_pb2.HealthCheckResponse.SERVING
    ask = server.channel.stream_stream(
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    (answer,) = ask(iter([reflection_pb2.ServerReflectionRequest(list_services="")]), timeout=10)
    names = {service.name for service in answer.list_services_response.service}
    assert {"conveyor.v1.ClassifierService", "grpc.health.v1.Health"} <= names


def test_watching_health_goes_on_until_the_caller_leaves(server: ServerProcess) -> None:
    watch = server.channel.unary_stream(
        "/grpc.health.v1.Health/Watch",
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )
    call = watch(health_pb2.HealthCheckRequest(), timeout=20)
    assert next(call).status == health_pb2.HealthCheckResponse.SERVING
    call.cancel()
    assert call.code() == grpc.StatusCode.CANCELLED


def test_an_unknown_method_is_unimplemented(server: ServerProcess) -> None:
    guess = server.channel.unary_unary("/conveyor.v1.ClassifierService/Guess", bytes, bytes)
    code, _ = refused(lambda: guess(b"", timeout=10))
    assert code == grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("garbage", [b"\xff" * 50, b"\x0a\xff\xff\xff\xff\x0f", bytes(range(256))])
def test_garbage_is_refused_and_the_server_goes_on(server: ServerProcess, models: Path, garbage: bytes) -> None:
    code, details = refused(lambda: raw(server)(garbage, timeout=10))
    assert (code, details) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "the request is not a conveyor.v1.ClassifyRequest message",
    )
    stream = server.channel.stream_stream(STREAM, bytes, bytes)
    code, _ = refused(lambda: list(stream(iter([garbage]), timeout=10)))
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert is_right(models, 0, server.stub.Classify(request(0), timeout=10))


def test_a_message_over_the_limit_is_refused(server: ServerProcess) -> None:
    code, _ = refused(lambda: raw(server)(bytes(MAX_MESSAGE_BYTES + 1), timeout=20))
    assert code == grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize(
    "compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip, grpc.Compression.Deflate]
)
def test_large_and_compressed_messages_arrive_whole(server: ServerProcess, compression: grpc.Compression) -> None:
    pixels = np.full((1200, 1100, 3), 9, np.uint8).tobytes()
    large = pb.Image(pixels=pb.RawPixels(height=1200, width=1100, colour_mode=model_pb2.COLOUR_MODE_RGB, data=pixels))
    asked = pb.ClassifyRequest(model_name="tiny", images=[large])
    assert asked.ByteSize() < MAX_MESSAGE_BYTES
    response = server.stub.Classify(asked, timeout=30, compression=compression)
    assert response.results[0].answer.predictions


def test_a_failure_has_its_code_and_its_sentence_in_any_alphabet(server: ServerProcess) -> None:
    code, details = refused(
        lambda: server.stub.Classify(pb.ClassifyRequest(model_name="größe 100%", images=[image(0)]))
    )
    assert code == grpc.StatusCode.NOT_FOUND
    assert "größe 100%" in details


def test_a_bad_item_of_a_stream_has_its_own_error(server: ServerProcess) -> None:
    items = [
        pb.ClassifyStreamRequest(item_id=1, image=pb.Image(encoded=b"no image"), model_name="tiny"),
        pb.ClassifyStreamRequest(item_id=2, image=image(2)),
    ]
    answers = {answer.item_id: answer.result for answer in server.stub.ClassifyStream(iter(items), timeout=10)}
    assert answers[1].WhichOneof("outcome") == "error"
    assert answers[2].WhichOneof("outcome") == "answer"


def test_a_caller_that_speaks_no_grpc_is_told_so(server: ServerProcess, engine: str) -> None:
    if engine == "grpcio":
        pytest.skip("grpcio closes such connections without a word")
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(f"http://{server.address}/", timeout=10)
    with error.value as answer:
        assert (answer.code, answer.read()) == (415, b"This port speaks gRPC only.\n")


def test_connections_that_come_and_go_leave_the_others_alone(server: ServerProcess, models: Path) -> None:
    for index in range(30):
        with channel_to(server) as channel:
            call = channel.unary_unary(CLASSIFY, pb.ClassifyRequest.SerializeToString, pb.ClassifyResponse.FromString)
            abandoned = call.future(request(index))
        assert abandoned.done()
        assert is_right(models, index, server.stub.Classify(request(index), timeout=10))
