"""Traces by OpenTelemetry: a span for each call that is traced, inside its caller's trace, and one for each load.

Spans are made when the call is over, from its record, and sent in the background. Imported only when asked for.
"""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from conveyor_server.calls import CallContext
from conveyor_server.statuses import Code
from conveyor_server.tracing.record import CallRecord, Run
from conveyor_server.tracing.sampling import TraceSampling

# Seconds that the last spans have to leave when the server stops.
CLOSE_SECONDS: Final = 3.0
# Spans that wait to be sent; more are dropped.
MAX_WAITING: Final = 4096
# What OpenTelemetry's conventions hold for the server's fault.
_OWN_FAULTS: Final = frozenset({Code.DEADLINE_EXCEEDED, Code.UNIMPLEMENTED, Code.INTERNAL, Code.UNAVAILABLE})
_CONTEXT_KEYS: Final = ("traceparent", "tracestate")

# Of a moment in seconds of `time.monotonic()`: nanoseconds since the epoch.
Epoch = Callable[[float], int]


class Spans:
    """Makes spans and sends them to a collector."""

    def __init__(self, endpoint: str, sampling: TraceSampling, chance: Callable[[], float] = random.random) -> None:
        """`endpoint` as http://HOST:4317; what it needs to know more is in OpenTelemetry's own OTEL_... variables."""
        own = Resource(
            {
                SERVICE_NAME: "conveyor",
                SERVICE_VERSION: metadata.version("conveyor"),
                "process.pid": os.getpid(),
            }
        )
        self._provider = TracerProvider(
            resource=own.merge(OTELResourceDetector().detect()),
            # Only calls that are traced get here at all.
            sampler=ALWAYS_ON,
            shutdown_on_exit=False,
        )
        processor = BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint), max_queue_size=MAX_WAITING)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("conveyor_server")
        self._propagator = TraceContextTextMapPropagator()
        self._sampling = sampling
        self._chance = chance

    def parent_of(self, context: CallContext) -> Context | None:
        """What the call's span hangs from; None when the call is not traced."""
        sampling = self._sampling
        if not sampling.is_on:
            return None
        given = context.metadata
        carrier = {key: value for key in _CONTEXT_KEYS if isinstance(value := given.get(key), str)}
        parent = self._propagator.extract(carrier, Context())
        callers = trace.get_current_span(parent).get_span_context()
        is_traced = callers.trace_flags.sampled if callers.is_valid else self._chance() < sampling.share
        return parent if is_traced else None

    def write(self, record: CallRecord, parent: Context) -> None:
        """Makes the spans of a call that is over, and notes the trace's id in its record."""
        epoch = _epoch()
        span = self._tracer.start_span(
            record.path.lstrip("/"), parent, SpanKind.SERVER, _attributes(record), start_time=epoch(record.started)
        )
        record.trace_id = trace.format_trace_id(span.get_span_context().trace_id)
        if record.code in _OWN_FAULTS:
            span.set_status(Status(StatusCode.ERROR, record.message))
        inside = trace.set_span_in_context(span, Context())
        for run in record.runs:
            self._write_run(run, inside if record.run_count == 1 else None, inside, epoch)
        span.end(epoch(record.ended))

    @contextmanager
    def load(self, name: str, version: int) -> Iterator[None]:
        """A span of its own around the load of a model."""
        span = self._tracer.start_span(
            "load", Context(), attributes={"conveyor.model": name, "conveyor.version": str(version)}
        )
        try:
            yield
        except BaseException as error:
            span.set_status(Status(StatusCode.ERROR, str(error)))
            raise
        finally:
            span.end()

    async def close(self) -> None:
        """Sends what waits, for CLOSE_SECONDS at most."""
        done = asyncio.Event()
        loop = asyncio.get_running_loop()

        def shut() -> None:
            self._provider.shutdown()
            loop.call_soon_threadsafe(done.set)

        # A daemon: a collector that does not answer must not keep the process from ending.
        threading.Thread(target=shut, name="conveyor traces", daemon=True).start()
        try:
            await asyncio.wait_for(done.wait(), CLOSE_SECONDS)
        except TimeoutError:
            return

    def _write_run(self, run: Run, direct: Context | None, inside: Context, epoch: Epoch) -> None:
        """Three spans one behind the other, in a span of their own where the call has several runs."""
        prepared = run.started + run.preprocess_seconds
        taken = prepared + run.queue_seconds
        computed = taken + run.compute_seconds
        attributes: dict[str, str | int] = {
            "conveyor.model": run.model,
            "conveyor.version": run.version,
            "conveyor.rows": run.rows,
            "conveyor.batch_size": run.batch_size,
        }
        item = None
        if direct is None:
            item = self._tracer.start_span("run", inside, attributes=attributes, start_time=epoch(run.started))
            direct = trace.set_span_in_context(item, Context())
        parts = (("preprocess", run.started, prepared), ("queue", prepared, taken), ("compute", taken, computed))
        for name, start, end in parts:
            own = attributes if name == "compute" else None
            self._tracer.start_span(name, direct, attributes=own, start_time=epoch(start)).end(epoch(end))
        if item is not None:
            item.end(epoch(computed))


def _epoch() -> Epoch:
    """By the clocks as they stand now: a wall clock that was set meanwhile shifts whole calls, not parts of them."""
    offset = time.time() - time.monotonic()
    return lambda moment: int(1e9 * (moment + offset))


def _attributes(record: CallRecord) -> dict[str, str | int]:
    service, _, method = record.path.lstrip("/").partition("/")
    attributes: dict[str, str | int] = {
        "rpc.system": "grpc",
        "rpc.service": service,
        "rpc.method": method,
        "rpc.grpc.status_code": int(record.code),
        "network.peer.address": record.peer,
        "conveyor.request_id": record.request_id,
    }
    if runs := record.runs:
        attributes |= {
            "conveyor.model": runs[-1].model,
            "conveyor.version": runs[-1].version,
            "conveyor.rows": record.rows,
            "conveyor.batch_size": max(run.batch_size for run in runs),
        }
    elif record.model:
        attributes |= {"conveyor.model": record.model, "conveyor.version": record.version}
    return attributes
