"""Spans of calls and loads arrive at a collector, inside the callers' own traces."""

import secrets
from pathlib import Path

import grpc
import pytest
import tritonclient.grpc as triton
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from tritonclient.utils import InferenceServerException

from conveyor.v1 import classifier_pb2 as pb
from conveyor.v1.classifier_pb2_grpc import ClassifierServiceStub
from conveyor_client import Client, traced
from tests.server.envoy.asking import ROWS, image, request
from tests.server.process import ServerProcess, running
from tests.server.tracing.collector import Collector, collecting, values_of

CLASSIFY = "conveyor.v1.ClassifierService/Classify"


def trace(*, sampled: bool = True) -> tuple[str, str]:
    """A new trace of the caller's: its id, and the header that tells of it."""
    trace_id = secrets.token_hex(16)
    return trace_id, f"00-{trace_id}-00f067aa0ba902b7-0{int(sampled)}"


def test_a_call_is_a_span_in_its_callers_trace(server: ServerProcess, collector: Collector) -> None:
    trace_id, header = trace()
    answer = server.stub.Classify(request(0), metadata=(("traceparent", header), ("x-request-id", "mine")))
    spans = collector.wait_for(trace_id, 4)
    call = spans[CLASSIFY]
    assert call.parent_span_id.hex() == "00f067aa0ba902b7"
    assert call.kind == Span.SPAN_KIND_SERVER
    values = values_of(call)
    assert (values["conveyor.model"], values["conveyor.version"]) == ("tiny", "1")
    assert values["conveyor.batch_size"] == answer.timings.batch_size
    assert values["conveyor.request_id"] == "mine"
    parts = [spans[name] for name in ("preprocess", "queue", "compute")]
    assert {part.parent_span_id for part in parts} == {call.span_id}
    assert call.start_time_unix_nano <= parts[0].start_time_unix_nano
    for part, following in zip(parts, [*parts[1:], None], strict=True):
        assert part.start_time_unix_nano <= part.end_time_unix_nano <= call.end_time_unix_nano
        assert following is None or part.end_time_unix_nano == following.start_time_unix_nano
    compute = parts[2].end_time_unix_nano - parts[2].start_time_unix_nano
    assert abs(compute / 1000 - answer.timings.compute_us) <= 2


def test_the_python_client_carries_its_trace(server: ServerProcess, collector: Collector) -> None:
    trace_id, header = trace()
    with Client(server.address) as client, traced(header):
        client.classify(ROWS[0], model="tiny")
    assert CLASSIFY in collector.wait_for(trace_id, 4)


def test_a_tensor_request_is_traced_too(server: ServerProcess, collector: Collector) -> None:
    trace_id, header = trace()
    tensor = triton.InferInput("image", [2, 8, 8, 1], "UINT8")
    tensor.set_data_from_numpy(ROWS[:2])
    with triton.InferenceServerClient(server.address) as client:
        client.infer("tiny", [tensor], headers={"traceparent": header}, request_id="own")
    call = collector.wait_for(trace_id, 4)["inference.GRPCInferenceService/ModelInfer"]
    assert values_of(call)["conveyor.rows"] == 2
    assert values_of(call)["conveyor.request_id"] == "own"


def test_each_item_of_a_stream_has_a_span_of_its_own(server: ServerProcess, collector: Collector) -> None:
    trace_id, header = trace()
    items = (pb.ClassifyStreamRequest(item_id=i, image=image(i), model_name="tiny") for i in range(3))
    list(server.stub.ClassifyStream(items, metadata=(("traceparent", header),)))
    collector.wait_for(trace_id, 1 + 3 * 4)


def test_a_failed_call_says_so(server: ServerProcess, collector: Collector) -> None:
    trace_id, header = trace()
    with pytest.raises(grpc.RpcError):
        server.stub.Classify(
            pb.ClassifyRequest(model_name="nobody", images=[image(0)]), metadata=(("traceparent", header),)
        )
    (call,) = collector.wait_for(trace_id, 1).values()
    assert values_of(call)["rpc.grpc.status_code"] == grpc.StatusCode.NOT_FOUND.value[0]
    assert call.status.code == Status.STATUS_CODE_UNSET, "the caller's fault is none of the server's"


def test_a_caller_that_does_not_trace_is_not_traced(server: ServerProcess, collector: Collector) -> None:
    (unwanted, header), (wanted, other) = trace(sampled=False), trace()
    server.stub.Classify(request(0), metadata=(("traceparent", header),))
    server.stub.Classify(request(0))
    server.stub.Classify(request(0), metadata=(("traceparent", "nonsense"),))
    server.stub.Classify(request(0), metadata=(("traceparent", other),))
    collector.wait_for(wanted, 4)
    assert collector.of_trace(unwanted) == []
    assert {span.name for span in collector.spans if not span.parent_span_id} == {"load"}


def test_a_load_is_a_span(server: ServerProcess, collector: Collector) -> None:
    values = values_of(collector.wait_for_name("load"))
    assert (values["conveyor.model"], values["conveyor.version"]) == ("tiny", "1")
    assert collector.resources[0]["service.name"] == "conveyor"


def test_what_is_traced_can_be_changed_for_all_workers(models: Path) -> None:
    flags = ("--workers", "2", "--trace-sample-rate", "0.5")
    with collecting() as collector, running(models, "--otlp-endpoint", collector.endpoint, *flags) as server:
        with triton.InferenceServerClient(server.address) as client:
            first = client.get_trace_settings(as_json=True)["settings"]
            assert (first["trace_level"]["value"], first["trace_rate"]["value"]) == (["TIMESTAMPS"], ["2"])
            assert first["trace_mode"]["value"] == ["opentelemetry"]
            for refused in ({"trace_mode": ["triton"]}, {"trace_rate": ["often"]}, {"trace_level": ["SOME"]}):
                with pytest.raises(InferenceServerException):
                    client.update_trace_settings(settings=refused)
            client.update_trace_settings(settings={"trace_level": ["OFF"], "trace_rate": ["7"]})
        trace_id, header = trace()
        for _ in range(8):
            # A connection of its own each time, so that both workers are asked.
            with grpc.insecure_channel(server.address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
                ClassifierServiceStub(channel).Classify(request(0), metadata=(("traceparent", header),), timeout=30)
            with triton.InferenceServerClient(server.address) as client:
                now = client.get_trace_settings(as_json=True)["settings"]
                assert (now["trace_level"]["value"], now["trace_rate"]["value"]) == (["OFF"], ["7"])
        server.stop()
        assert collector.of_trace(trace_id) == []


def test_the_last_spans_leave_before_the_server_ends(engine: str, models: Path) -> None:
    trace_id, header = trace()
    with collecting() as collector:
        server = ServerProcess(models, "--engine", engine, "--otlp-endpoint", collector.endpoint)
        server.wait_until_serving()
        server.stub.Classify(request(0), metadata=(("traceparent", header),))
        assert server.stop() == 0
        assert len(collector.of_trace(trace_id)) == 4


def test_a_collector_that_is_not_there_hurts_nobody(models: Path) -> None:
    flags = ("--otlp-endpoint", "http://127.0.0.1:1", "--trace-sample-rate", "1")
    server = ServerProcess(models, *flags)
    server.wait_until_serving()
    assert server.stub.Classify(request(0), timeout=10).model_version == "1"
    assert server.stop() == 0
