"""TraceSetting, as far as it is true here: spans go to a collector, for a share of the calls of all models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from conveyor_server.digits import number_in
from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.inference import inference_pb2 as pb
from conveyor_server.shortening import shortened
from conveyor_server.tracing.sampling import TraceSampling

_OFF: Final = ("OFF",)
_ON: Final = ("TIMESTAMPS",)
_LEVEL: Final = "trace_level"
# One call of so many.
_RATE: Final = "trace_rate"
_MAX_RATE: Final = 2**32 - 1
_FIXED: Final[Mapping[str, Sequence[str]]] = {"trace_file": (), "trace_count": ("-1",), "log_frequency": ("0",)}
_WITHOUT_COLLECTOR: Final[Mapping[str, Sequence[str]]] = {
    **_FIXED,
    _LEVEL: _OFF,
    _RATE: ("1000",),
    "trace_mode": ("triton",),
}

Changes = Mapping[str, pb.TraceSettingRequest.SettingValue]


class TraceSettings:
    """What is traced, and how it is changed while the server runs."""

    def __init__(self, sampling: TraceSampling | None) -> None:
        """Without `sampling` there is no collector, and nothing can be changed."""
        self._sampling = sampling
        self._default_share = 0.0 if sampling is None else sampling.share

    def change(self, changes: Changes) -> None:
        """Applies what is given; a setting without values goes back to its default.

        Raises ServingError, and changes nothing then.
        """
        values = {name: tuple(setting.value) for name, setting in changes.items()}
        sampling = self._sampling
        for name, value in values.items():
            if name not in _WITHOUT_COLLECTOR:
                raise ServingError(ErrorKind.INVALID_ARGUMENT, f"there is no trace setting '{shortened(name)}'")
            if sampling is None or name not in (_LEVEL, _RATE):
                self._check_unchanged(name, value)
        if sampling is None:
            return
        share = self._share(values[_RATE]) if _RATE in values else sampling.share
        is_on = _is_on(values[_LEVEL]) if _LEVEL in values else sampling.is_on
        sampling.share, sampling.is_on = share, is_on

    def current(self) -> pb.TraceSettingResponse:
        """What holds now, for every model."""
        response = pb.TraceSettingResponse()
        for name, values in self._values().items():
            response.settings[name].value.extend(values)
        return response

    def _values(self) -> Mapping[str, Sequence[str]]:
        sampling = self._sampling
        if sampling is None:
            return _WITHOUT_COLLECTOR
        return {
            **_FIXED,
            _LEVEL: _ON if sampling.is_on else _OFF,
            # 0: no call but those of which the callers' own traces ask for it.
            _RATE: (str(round(1 / sampling.share)) if sampling.share else "0",),
            "trace_mode": ("opentelemetry",),
        }

    def _check_unchanged(self, name: str, value: Sequence[str]) -> None:
        # Without values a setting goes back to its default, and there these are.
        if not value or value == tuple(self._values()[name]):
            return
        why = (
            "no collector was given with --otlp-endpoint"
            if self._sampling is None
            else f"only {_LEVEL} and {_RATE} can be"
        )
        raise ServingError(ErrorKind.UNSUPPORTED, f"trace setting '{name}' cannot be changed: {why}")

    def _share(self, value: Sequence[str]) -> float:
        if not value:
            return self._default_share
        (text, *more) = value
        number = number_in(text)
        if more or number is None or number > _MAX_RATE:
            message = f"trace setting '{_RATE}' must be one whole number: of so many calls one is traced"
            raise ServingError(ErrorKind.INVALID_ARGUMENT, message)
        return 1 / number if number else 0.0


def _is_on(value: Sequence[str]) -> bool:
    """With no value as at the start: a server that has a collector traces."""
    if tuple(value) in (_ON, _OFF, ()):
        return tuple(value) != _OFF
    message = f"trace setting '{_LEVEL}' must be {_OFF[0]} or {_ON[0]}"
    raise ServingError(ErrorKind.INVALID_ARGUMENT, message)
