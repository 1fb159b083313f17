"""The synchronous client: answers, failures, retries and deadlines."""

import time
from pathlib import Path

import grpc
import pytest

from conveyor_client import (
    Client,
    ConveyorClientError,
    DeadlineExceeded,
    InvalidImage,
    ModelNotFound,
    Overloaded,
    ServerError,
    ServerUnavailable,
)
from conveyor_client.requests import BYTES_PER_CALL, IMAGES_PER_CALL
from tests.clients.scripted import LABELS, UNREADABLE, ScriptedServer

UNAVAILABLE, EXHAUSTED = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_classification_says_label_probability_version_and_timings(server: ScriptedServer) -> None:
    with Client(server.address) as client:
        answer = client.classify(b"\x01", model="m", top_k=3)
    assert answer.label == "one"
    assert answer.probability == pytest.approx(0.6)
    assert [each.label for each in answer.predictions] == ["one", "two", "zero"]
    assert (answer.model_version, answer.file_digest, answer.error) == ("7", "sha256:00", None)
    assert (answer.timings.preprocess_us, answer.timings.queue_us, answer.timings.compute_us) == (1, 2, 3)
    [request] = server.script.requests
    assert (request.model_name, request.model_version, request.top_k) == ("m", "", 3)


def test_many_images_go_in_few_calls_and_come_back_in_order(server: ScriptedServer) -> None:
    images = [bytes([number % 256]) for number in range(3 * IMAGES_PER_CALL + 1)]
    with Client(server.address) as client:
        answers = client.classify_many(images, model="m")
    assert [answer.label for answer in answers] == [LABELS[image[0] % 3] for image in images]
    assert [answer.index for answer in answers] == list(range(len(images)))
    assert len(server.script.requests) == 4


def test_large_images_are_spread_over_calls(server: ScriptedServer) -> None:
    images = [bytes(BYTES_PER_CALL // 2 + 1)] * 3
    with Client(server.address) as client:
        assert len(client.classify_many(images, model="m")) == 3
    assert len(server.script.requests) == 3


def test_outcomes_are_given_while_images_are_still_taken(server: ScriptedServer) -> None:
    endless = (b"\x01" for _ in iter(int, 1))
    with Client(server.address) as client:
        answers = client.classify_each(endless, model="m")
        assert [next(answers).index for _ in range(IMAGES_PER_CALL + 1)] == list(range(IMAGES_PER_CALL + 1))


def test_no_images_make_no_call(server: ScriptedServer) -> None:
    with Client(server.address) as client:
        assert client.classify_many([], model="m") == []
    assert server.script.attempts == 0


def test_a_bad_image_among_many_has_its_error_and_spoils_no_other(server: ScriptedServer, tmp_path: Path) -> None:
    with Client(server.address) as client:
        answers = client.classify_many([b"\x01", UNREADABLE, tmp_path / "absent.png", b"\x02"], model="m")
    assert [answer.label for answer in (answers[0], answers[3])] == ["one", "two"]
    assert isinstance(answers[1].error, InvalidImage)
    assert str(answers[1].error) == "image 2: this is no image"
    assert "absent.png" in str(answers[2].error)
    with pytest.raises(InvalidImage):
        _ = answers[1].label


def test_a_bad_image_alone_in_the_last_call_spoils_no_other(server: ScriptedServer) -> None:
    with Client(server.address) as client:
        answers = client.classify_many([b"\x01"] * IMAGES_PER_CALL + [UNREADABLE], model="m")
    assert [answer.error is None for answer in answers] == [True] * IMAGES_PER_CALL + [False]


def test_an_image_that_the_server_refuses(server: ScriptedServer) -> None:
    with Client(server.address) as client, pytest.raises(InvalidImage, match="^image 1: this is no image$"):
        client.classify(UNREADABLE, model="m")


def test_an_unknown_model(server: ScriptedServer) -> None:
    with Client(server.address) as client:
        with pytest.raises(ModelNotFound, match=rf"{server.address}: there is no model 'other'$"):
            client.classify(b"x", model="other")
        with pytest.raises(ModelNotFound):
            client.model("other")


def test_nothing_at_the_address(silent_address: str) -> None:
    with Client(silent_address, max_attempts=2) as client:
        with pytest.raises(ServerUnavailable, match=f"no server answers at {silent_address}.*conveyor serve"):
            client.classify(b"x", model="m")
        with pytest.raises(ServerUnavailable):
            client.models()
        assert client.ready() is False


@pytest.mark.parametrize("code", [UNAVAILABLE, EXHAUSTED])
def test_a_call_is_tried_again(server: ScriptedServer, code: grpc.StatusCode) -> None:
    server.script.failures = [(code, "busy"), (code, "busy")]
    with Client(server.address) as client:
        assert client.classify(b"\x01", model="m").label == "one"
    assert server.script.attempts == 3


def test_a_call_is_not_tried_for_ever(server: ScriptedServer) -> None:
    server.script.failures = [(EXHAUSTED, "the queue is full.")] * 10
    full = pytest.raises(Overloaded, match=r"overloaded \(the queue is full\)")
    with Client(server.address, max_attempts=2) as client, full:
        client.classify(b"x", model="m")
    assert server.script.attempts == 2


def test_a_call_that_may_have_been_done_is_not_tried_again(server: ScriptedServer) -> None:
    server.script.failures = [(grpc.StatusCode.INTERNAL, "request 12 failed")]
    with Client(server.address) as client, pytest.raises(ServerError, match="INTERNAL: request 12 failed"):
        client.classify(b"x", model="m")
    assert server.script.attempts == 1


def test_a_server_that_is_not_ready_is_told_from_one_that_is_absent(server: ScriptedServer) -> None:
    server.script.failures = [(UNAVAILABLE, "model m is loading.")]
    loading = pytest.raises(ServerUnavailable, match=rf"^the server at {server.address}: model m is loading$")
    with Client(server.address, max_attempts=1) as client, loading:
        client.classify(b"x", model="m")


@pytest.mark.parametrize("per_call", [True, False])
def test_a_deadline(server: ScriptedServer, per_call: bool) -> None:
    server.script.delay = 3.0
    started = time.monotonic()
    with Client(server.address, timeout=30 if per_call else 0.2) as client:
        with pytest.raises(DeadlineExceeded, match="no answer within the timeout"):
            client.classify(b"x", model="m", timeout=0.2 if per_call else None)
        assert time.monotonic() - started < 2.5


def test_another_kind_of_server(server: ScriptedServer) -> None:
    server.script.failures = [(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")]
    with Client(server.address) as client, pytest.raises(ServerError, match="no Conveyor server"):
        client.classify(b"x", model="m")


def test_an_answer_with_too_few_results(server: ScriptedServer) -> None:
    server.script.results_dropped = 1
    with Client(server.address) as client, pytest.raises(ServerError, match="2 images were sent and 1 answers"):
        client.classify_many([b"x", b"y"], model="m")


def test_a_message_larger_than_the_server_takes(server: ScriptedServer) -> None:
    began = time.monotonic()
    with Client(server.address) as client:
        for size in (5, 65):  # MiB: over the server's limit, over the client's own
            with pytest.raises(InvalidImage, match="too large"):
                client.classify(bytes(size * 1024 * 1024), model="m")
    assert time.monotonic() - began < 10  # not tried again


def test_models_and_their_contract(server: ScriptedServer) -> None:
    with Client(server.address) as client:
        model = client.model("m")
        statuses = client.models()
        assert [status.name for status in client.models(ready_only=True)] == ["m"]
    assert (model.labels, model.height, model.width, model.channels) == (LABELS, 4, 5, 3)
    assert model.status.ready
    assert [(status.state, status.ready, status.reason) for status in statuses] == [
        ("READY", True, ""),
        ("UNAVAILABLE", False, "why"),
    ]


def test_addresses() -> None:
    with pytest.raises(ConveyorClientError, match="HTTP address"):
        Client("http://localhost:8002")
    with Client("grpc://localhost:8001") as client:
        assert client.address == "localhost:8001"
    with Client("grpcs://localhost:8001") as client:
        assert client.address == "localhost:8001"
