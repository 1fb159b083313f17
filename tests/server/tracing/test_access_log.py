"""The log: which calls get a line, what the line says, and its two forms."""

import json
import logging
import re
from typing import Any

import grpc
import pytest

from conveyor.v1 import classifier_pb2 as pb
from conveyor_server.line_limit import MAX_LINES_PER_SECOND
from conveyor_server.log_format import Fields, formatter
from conveyor_server.statuses import Code
from conveyor_server.tracing.access_log import AccessLog
from conveyor_server.tracing.record import CallRecord
from tests.server.envoy.asking import image, request
from tests.server.process import ServerProcess

KEY = "x-request-id"


def lines_of(server: ServerProcess, request_id: str) -> list[dict[str, Any]]:
    """The calls of that id, once there is one."""
    server.wait_for_log(rf'"request_id": "{request_id}"[^\n]*\n')
    lines = (json.loads(line) for line in server.log.splitlines() if line.startswith("{"))
    return [line for line in lines if line.get("request_id") == request_id]


def test_a_call_is_one_line_of_json(server: ServerProcess) -> None:
    answer = server.stub.Classify(request(0), metadata=((KEY, "one"),))
    (line,) = lines_of(server, "one")
    assert line["method"] == "/conveyor.v1.ClassifierService/Classify"
    assert (line["code"], line["model"], line["version"], line["rows"]) == ("OK", "tiny", "1", 1)
    assert line["batch_rows"] == answer.timings.batch_size
    assert line["compute_ms"] == pytest.approx(answer.timings.compute_us / 1000, abs=0.002)
    assert line["ms"] >= line["compute_ms"] + line["queue_ms"] + line["preprocess_ms"]
    assert line["peer"].startswith("ipv4:127.0.0.1:")
    assert (line["level"], line["logger"]) == ("info", "conveyor_server.tracing.access_log")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])


def test_a_failed_call_says_why(server: ServerProcess) -> None:
    for asked, code in (
        (pb.ClassifyRequest(model_name="nobody\nsecond line", images=[image(0)]), "NOT_FOUND"),
        (pb.ClassifyRequest(model_name="tiny", images=[image(0)] * 5), "INVALID_ARGUMENT"),
    ):
        with pytest.raises(grpc.RpcError) as refused:
            server.stub.Classify(asked, metadata=((KEY, code),))
        (line,) = lines_of(server, code)
        assert (line["code"], line["model"]) == (code, asked.model_name)
        assert line["error"] == refused.value.details()


def test_a_message_that_cannot_be_read_is_a_line_too(server: ServerProcess) -> None:
    call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = server.channel.unary_unary(
        "/conveyor.v1.ClassifierService/Classify"
    )
    with pytest.raises(grpc.RpcError):
        call(b"\xff\xff", metadata=((KEY, "unreadable"),))
    (line,) = lines_of(server, "unreadable")
    assert line["code"] == "INVALID_ARGUMENT"


def test_every_other_line_is_json_too_and_names_its_values(server: ServerProcess) -> None:
    server.wait_for_log("ready address=")
    lines = [json.loads(line) for line in server.log.splitlines()]
    ready = next(line for line in lines if line["message"].startswith("ready "))
    assert ready["address"] == server.address
    assert ready["models"] == "tiny/1"
    loaded = next(line for line in lines if line["message"].startswith("loaded "))
    assert (loaded["model"], loaded["version"]) == ("tiny", 1)


def test_without_a_flag_no_call_is_logged(plain_server: ServerProcess) -> None:
    plain_server.stub.Classify(request(0))
    with pytest.raises(grpc.RpcError):
        plain_server.stub.Classify(pb.ClassifyRequest(model_name="nobody"))
    assert " call " not in plain_server.log


def failed(code: Code = Code.NOT_FOUND) -> CallRecord:
    record = CallRecord(path="/a.B/C", peer="ipv4:127.0.0.1:1", request_id="r")
    record.note_end(code, "no such thing")
    return record


def test_a_share_of_the_calls_is_chosen() -> None:
    chances = iter([0.0, 0.24, 0.25, 0.9])
    access_log = AccessLog(0.25, chance=lambda: next(chances))
    assert [access_log.chooses() for _ in range(4)] == [True, True, False, False]


def test_a_flood_of_failures_is_cut_short_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "conveyor_server")
    now = [0.0]
    access_log = AccessLog(0.001, clock=lambda: now[0])
    for _ in range(MAX_LINES_PER_SECOND + 5):
        access_log.write_failure(failed())
    access_log.write_failure(failed(Code.INTERNAL))
    assert len(caplog.records) == MAX_LINES_PER_SECOND + 1, "another code has a limit of its own"
    now[0] = 1.0
    access_log.write_failure(failed())
    assert "left_out=5" in caplog.messages[-1]


def test_nobodys_input_begins_a_line_of_its_own() -> None:
    record = logging.LogRecord("n", logging.INFO, "p", 1, "loaded model=%s", ("a\nERROR model=b",), None)
    assert len(formatter("text", None).format(record).splitlines()) == 1
    assert json.loads(formatter("json", 3).format(record)) | {"model": "a\nERROR model=b", "worker": 3} == json.loads(
        formatter("json", 3).format(record)
    )
    quoted = Fields(model='a "b" =c', plain="tiny/1")
    assert str(quoted) == 'model="a \\"b\\" =c" plain=tiny/1'


def test_an_errors_cause_is_in_the_json_object() -> None:
    try:
        raise ValueError("what it was")
    except ValueError as error:
        record = logging.LogRecord("n", logging.ERROR, "p", 1, "it failed", None, (ValueError, error, None))
    assert "what it was" in json.loads(formatter("json", None).format(record))["cause"]
