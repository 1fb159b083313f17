"""Who looks at a model's batches once their answers are found: a trial, drift, verification. Often nobody."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import ParamSpec

from conveyor_server.batch import Batch, Rows
from conveyor_server.drift.monitor import DriftMonitor, monitor_of
from conveyor_server.line_limit import LineLimit
from conveyor_server.model import Model
from conveyor_server.verifying import Verifier

log = logging.getLogger(__name__)

Look = Callable[[Batch, Rows | None, float], None]
Seen = ParamSpec("Seen")


class ModelObserver:
    """The onlookers of one model. Each costs a caller's batch no more than a decision; the work comes later."""

    def __init__(self, model: Model, drift: DriftMonitor | None, verifier: Verifier | None) -> None:
        self.model = model
        self.trial: Look | None = None
        self.drift = drift
        self.verifier = verifier
        self._failures = LineLimit()

    def observe(self, batch: Batch, output: Rows | None, compute_seconds: float) -> None:
        """Called by the batcher. What goes wrong in one look costs that look, and none of the others."""
        if self.trial is not None:
            self._have_look(self.trial, batch, output, compute_seconds)
        if output is None:
            return
        if self.drift is not None:
            self._have_look(self.drift.look, batch, output)
        if self.verifier is not None:
            self._have_look(self.verifier.look, batch, output)

    def _have_look(self, look: Callable[Seen, None], *args: Seen.args, **kwargs: Seen.kwargs) -> None:
        try:
            look(*args, **kwargs)
        except Exception as error:
            message = "a batch was not looked at model=%s version=%s"
            self._failures.write_error(log, error, message, self.model.name, self.model.version)


class Observation:
    """The observers of the models that are ready. Belongs to the event loop's thread."""

    def __init__(self, drift_window: float | None, verify_rate: float) -> None:
        """`drift_window` in seconds, None for no look at drift; `verify_rate` as a share of rows."""
        self._drift_window = drift_window
        self._verify_rate = verify_rate
        self._observers: dict[str, dict[int, ModelObserver]] = {}

    def point(self, name: str, ready: Mapping[int, Model]) -> dict[int, ModelObserver]:
        """Observes just these versions of a model from now on; those that stay keep what they have seen."""
        known = self._observers.pop(name, {})
        observers = {}
        for version, model in ready.items():
            observer = known.get(version)
            if observer is None or observer.model is not model:
                observer = self._observer_of(model)
            observers[version] = observer
        if observers:
            self._observers[name] = observers
        return observers

    def __iter__(self) -> Iterator[ModelObserver]:
        for observers in self._observers.values():
            yield from observers.values()

    def of(self, model: Model) -> ModelObserver | None:
        """The model's own, while it is ready."""
        observer = self._observers.get(model.name, {}).get(model.version)
        return observer if observer is not None and observer.model is model else None

    def _observer_of(self, model: Model) -> ModelObserver:
        drift = None if self._drift_window is None else monitor_of(model, self._drift_window)
        verifier = Verifier(model, self._verify_rate) if self._verify_rate else None
        observer = ModelObserver(model, drift, verifier)
        model.batcher.observer = observer
        return observer
