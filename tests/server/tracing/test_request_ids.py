"""What a caller calls its call comes back with the answer, whatever the answer is."""

from http.client import HTTPConnection
from typing import Any

import grpc
import pytest

from conveyor.v1 import classifier_pb2 as pb
from conveyor_client import Client
from tests.server.envoy.asking import ROWS, image, request
from tests.server.process import ServerProcess

KEY = "x-request-id"
NOBODY = pb.ClassifyRequest(model_name="nobody", images=[image(0)])


def ids_of(call: Any) -> list[object]:
    """What came back beside the answer to a call, or beside its refusal."""
    return [value for key, value in call.trailing_metadata() if key == KEY]


def test_an_answer_carries_the_callers_id(server: ServerProcess) -> None:
    _, call = server.stub.Classify.with_call(request(0), metadata=((KEY, "order-66/a"),))
    assert ids_of(call) == ["order-66/a"]


def test_a_refusal_carries_the_callers_id(server: ServerProcess) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        server.stub.Classify(NOBODY, metadata=((KEY, "order-67"),))
    assert ids_of(refused.value) == ["order-67"]


def test_a_stream_carries_the_callers_id(server: ServerProcess) -> None:
    items = iter([pb.ClassifyStreamRequest(image=image(0), model_name="tiny")])
    call = server.stub.ClassifyStream(items, metadata=((KEY, "stream-1"),))
    assert len(list(call)) == 1
    assert ids_of(call) == ["stream-1"]


@pytest.mark.parametrize("given", ["x" * 129, "two words", ""])
def test_an_id_that_could_not_be_logged_as_it_is_is_not_taken_over(server: ServerProcess, given: str) -> None:
    _, call = server.stub.Classify.with_call(request(0), metadata=((KEY, given),))
    (made,) = ids_of(call)
    assert made != given
    assert len(str(made)) == 16, "one of the server's own, under which the log has the call"


def test_the_requests_own_id_is_good_enough(server: ServerProcess) -> None:
    asked = request(0)
    asked.request_id = "in the message\n"
    answer, call = server.stub.Classify.with_call(asked)
    assert answer.request_id == asked.request_id
    server.wait_for_log(r'"request_id": "in the message\\n"')
    assert ids_of(call) == [], "metadata takes visible ASCII only, and the answer has it"


@pytest.mark.parametrize(
    ("path", "status"), [("/healthz/live", 200), ("/v2/models/tiny", 200), ("/nothing/there", 404)]
)
def test_an_answer_over_http_carries_the_callers_id(server: ServerProcess, path: str, status: int) -> None:
    connection = HTTPConnection(server.http_address, timeout=30)
    connection.request("GET", path, headers={KEY: "over-http"})
    answer = connection.getresponse()
    assert (answer.status, answer.getheader(KEY)) == (status, "over-http")
    connection.close()


def test_a_call_over_http_is_logged_like_any_other(server: ServerProcess) -> None:
    connection = HTTPConnection(server.http_address, timeout=30)
    connection.request("GET", "/v2/models/nobody", headers={KEY: "http-1"})
    assert connection.getresponse().status == 404
    connection.close()
    found = server.wait_for_log(r"[^\n]*http-1[^\n]*")
    assert '"code": "NOT_FOUND"' in found.group()


def test_without_any_id_nothing_is_made_where_nobody_looks(plain_server: ServerProcess) -> None:
    _, call = plain_server.stub.Classify.with_call(request(0))
    assert ids_of(call) == []
    _, call = plain_server.stub.Classify.with_call(request(0), metadata=((KEY, "kept"),))
    assert ids_of(call) == ["kept"]
    with Client(plain_server.address) as client:
        assert client.classify(ROWS[0], model="tiny").model_version == "1"
