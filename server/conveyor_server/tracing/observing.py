"""Everything that looks at calls, made from the settings; nothing at all when nothing was asked for."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from conveyor_server.calls import MethodTable
from conveyor_server.errors import StartError
from conveyor_server.loading import WatchLoad, unwatched
from conveyor_server.tracing.access_log import AccessLog
from conveyor_server.tracing.sampling import TraceSampling
from conveyor_server.tracing.watch import Observers

if TYPE_CHECKING:
    from conveyor_server.settings import ServerSettings
    from conveyor_server.tracing.spans import Spans

log = logging.getLogger(__name__)


class Observing:
    """The access log and the traces of one process. Raises StartError when traces cannot be had."""

    def __init__(self, settings: ServerSettings) -> None:
        # None without traces.
        self.sampling: TraceSampling | None = None
        self._spans: Spans | None = None
        if settings.otlp_endpoint is not None:
            self.sampling = TraceSampling(share=settings.trace_sample_rate)
            self._spans = _spans(settings.otlp_endpoint, self.sampling)
        access_log = AccessLog(settings.log_sample_rate) if settings.log_sample_rate > 0.0 else None
        self._observers = Observers(access_log=access_log, tracer=self._spans)

    def watched(self, methods: MethodTable) -> MethodTable:
        """The methods, looked at; the very same ones when nobody looks."""
        return self._observers.watched(methods)

    @property
    def watch_load(self) -> WatchLoad:
        """What stands around the load of a model."""
        return unwatched if self._spans is None else self._spans.load

    async def close(self) -> None:
        """Sends what waits to be sent, within seconds."""
        if self._spans is not None:
            await self._spans.close()


def _spans(endpoint: str, sampling: TraceSampling) -> Spans:
    try:
        from conveyor_server.tracing.spans import Spans
    except ImportError as error:
        raise StartError("traces need OpenTelemetry: pip install 'conveyor[tracing]'.") from error
    log.info("tracing endpoint=%s share=%s", endpoint, sampling.share)
    return Spans(endpoint, sampling)
