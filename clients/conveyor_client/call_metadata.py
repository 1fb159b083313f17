"""What goes along with every call: the token, and the trace that the caller is part of."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from conveyor_client.connection import Connection

Metadata = tuple[tuple[str, str], ...]

_TRACE: ContextVar[Metadata] = ContextVar("conveyor_client_trace", default=())


@contextmanager
def traced(traceparent: str, tracestate: str = "") -> Iterator[None]:
    """Calls made inside the block carry this W3C trace context, in this thread or task alone.

    Without it, the current span of OpenTelemetry is passed on where that package is in use.
    """
    pairs = (("traceparent", traceparent), ("tracestate", tracestate))
    before = _TRACE.set(tuple(pair for pair in pairs if pair[1]))
    try:
        yield
    finally:
        _TRACE.reset(before)


def call_metadata(connection: Connection) -> Metadata:
    """The metadata of a call that is about to start."""
    trace = _TRACE.get() or _open_telemetry()
    token = connection.read_token()
    return trace if token is None else (*trace, ("authorization", f"Bearer {token}"))


def _open_telemetry() -> Metadata:
    propagate = sys.modules.get("opentelemetry.propagate")
    if propagate is None:
        return ()
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return tuple((key.lower(), value) for key, value in carrier.items())
