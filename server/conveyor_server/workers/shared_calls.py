"""Calls that concern every worker, whichever of them a caller reached."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Final

from conveyor_server.inference import SERVICE
from conveyor_server.inference import inference_pb2 as pb
from conveyor_server.workers.sums import sum_statistics

STATISTICS: Final = f"/{SERVICE}/ModelStatistics"
REGISTER: Final = f"/{SERVICE}/SystemSharedMemoryRegister"
UNREGISTER: Final = f"/{SERVICE}/SystemSharedMemoryUnregister"
LOG: Final = f"/{SERVICE}/LogSettings"
TRACE: Final = f"/{SERVICE}/TraceSetting"
SHARED: Final = (STATISTICS, REGISTER, UNREGISTER, LOG, TRACE)


def to_text(payload: bytes) -> str:
    """Bytes for JSON."""
    return base64.b64encode(payload).decode()


def to_bytes(text: str) -> bytes:
    """What `to_text` wrote."""
    return base64.b64decode(text)


def joined(path: str, answers: Sequence[bytes]) -> bytes:
    """One answer from all the workers' (at least one): added up, or the first where they all say the same."""
    if path != STATISTICS:
        return answers[0]
    return sum_statistics([pb.ModelStatisticsResponse.FromString(answer) for answer in answers]).SerializeToString()


def undoing(path: str, payload: bytes) -> tuple[str, bytes] | None:
    """The call that takes another back, for workers that did it when others could not; None where nothing stays."""
    if path != REGISTER:
        return None
    name = pb.SystemSharedMemoryRegisterRequest.FromString(payload).name
    return UNREGISTER, pb.SystemSharedMemoryUnregisterRequest(name=name).SerializeToString()


class Remembered:
    """What a worker that joins later has to be told again."""

    def __init__(self) -> None:
        self._regions: dict[str, bytes] = {}
        self._log = pb.LogSettingsRequest()
        self._trace = pb.TraceSettingRequest()
        self._note: dict[str, Callable[[bytes], None]] = {
            REGISTER: self._register,
            UNREGISTER: self._unregister,
            LOG: self._change_log,
            TRACE: self._change_trace,
        }

    def note(self, path: str, payload: bytes) -> None:
        """Takes note of a call that every worker has answered."""
        if path in self._note:
            self._note[path](payload)

    def calls(self) -> list[tuple[str, str]]:
        """The calls to make again: path, and payload as text."""
        regions = [(REGISTER, to_text(payload)) for payload in self._regions.values()]
        settings = [(LOG, self._log.SerializeToString()), (TRACE, self._trace.SerializeToString())]
        return [*regions, *((path, to_text(payload)) for path, payload in settings)]

    def _register(self, payload: bytes) -> None:
        self._regions[pb.SystemSharedMemoryRegisterRequest.FromString(payload).name] = payload

    def _unregister(self, payload: bytes) -> None:
        name = pb.SystemSharedMemoryUnregisterRequest.FromString(payload).name
        for gone in [name] if name else list(self._regions):
            self._regions.pop(gone, None)

    def _change_log(self, payload: bytes) -> None:
        for name, value in pb.LogSettingsRequest.FromString(payload).settings.items():
            if value.WhichOneof("parameter_choice") is not None:
                self._log.settings[name].CopyFrom(value)

    def _change_trace(self, payload: bytes) -> None:
        for name, value in pb.TraceSettingRequest.FromString(payload).settings.items():
            self._trace.settings[name].CopyFrom(value)
