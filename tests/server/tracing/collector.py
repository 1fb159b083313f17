"""A small OpenTelemetry collector: a gRPC server that keeps the spans which it is sent."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as pb
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc
from opentelemetry.proto.trace.v1.trace_pb2 import Span

SECONDS = 30


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Spans, as they came."""

    def __init__(self) -> None:
        self._came = threading.Condition()
        self.spans: list[Span] = []
        self.resources: list[dict[str, str]] = []
        self.endpoint = ""

    def Export(self, request: pb.ExportTraceServiceRequest, context: grpc.ServicerContext) -> object:
        """OTLP's one method."""
        with self._came:
            for resource in request.resource_spans:
                self.resources.append({a.key: a.value.string_value for a in resource.resource.attributes})
                self.spans += [span for scope in resource.scope_spans for span in scope.spans]
            self._came.notify_all()
        return pb.ExportTraceServiceResponse()

    def of_trace(self, trace_id: str) -> list[Span]:
        """What came of one trace."""
        return [span for span in self.spans if span.trace_id.hex() == trace_id]

    def wait_for(self, trace_id: str, count: int) -> dict[str, Span]:
        """The spans of a trace by their names, once there are so many."""
        with self._came:
            self._came.wait_for(lambda: len(self.of_trace(trace_id)) >= count, timeout=SECONDS)
        spans = self.of_trace(trace_id)
        assert len(spans) == count, [span.name for span in spans]
        return {span.name: span for span in spans}

    def wait_for_name(self, name: str) -> Span:
        """The first span of that name."""
        with self._came:
            self._came.wait_for(lambda: any(span.name == name for span in self.spans), timeout=SECONDS)
        return next(span for span in self.spans if span.name == name)


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector on a free port."""
    collector = Collector()
    server = grpc.server(ThreadPoolExecutor(2))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    collector.endpoint = f"http://127.0.0.1:{port}"
    server.start()
    try:
        yield collector
    finally:
        server.stop(None)


def values_of(span: Span) -> dict[str, object]:
    """A span's attributes."""
    return {a.key: a.value.string_value or a.value.int_value for a in span.attributes}
