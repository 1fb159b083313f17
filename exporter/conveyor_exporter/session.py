"""An ONNX model in ONNX Runtime, as the proof runs it: one thread, so that figures repeat, and TF32 off."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conveyor_contract.telemetry import switch_telemetry_off
from conveyor_exporter.errors import ExportError, RunError

CPU_PROVIDER = "CPUExecutionProvider"
CUDA_PROVIDER = "CUDAExecutionProvider"
_FATAL_ONLY = 4  # its errors are raised; on stderr they would only be said twice
_PROVIDER_OPTIONS = {CPU_PROVIDER: {}, CUDA_PROVIDER: {"use_tf32": "0"}}


class Session:
    """A loaded model with one input. Raises RunError when ONNX Runtime refuses it, or would run it elsewhere."""

    def __init__(self, source: bytes | Path, provider: str = CPU_PROVIDER) -> None:
        runtime = _onnxruntime()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = _FATAL_ONLY
        options.use_deterministic_compute = True
        try:
            self._session = runtime.InferenceSession(
                source, options, providers=[(provider, _PROVIDER_OPTIONS[provider])]
            )
        except Exception as error:  # ONNX Runtime's errors share no base of their own
            raise RunError(f"ONNX Runtime cannot load the model ({_sentence(error)})") from error
        if self._session.get_providers()[0] != provider:
            raise RunError(f"ONNX Runtime would run the model on {self._session.get_providers()[0]}, not on {provider}")
        self.inputs = tuple(value.name for value in self._session.get_inputs())
        self.outputs = tuple(value.name for value in self._session.get_outputs())

    def run(self, rows: NDArray[Any]) -> NDArray[np.float32]:
        """The first output for a batch of rows."""
        return self.run_all(rows)[self.outputs[0]]

    def run_all(self, rows: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
        """Every output by name. Raises RunError when the run fails."""
        try:
            answers = self._session.run(None, {self.inputs[0]: rows})
        except Exception as error:  # as above
            raise RunError(f"ONNX Runtime cannot run {len(rows)} rows ({_sentence(error)})") from error
        return dict(zip(self.outputs, answers, strict=True))

    def run_in_chunks(self, rows: NDArray[Any], chunk_rows: int) -> NDArray[np.float32]:
        """The first output for any number of rows, `chunk_rows` at a time."""
        starts = range(0, len(rows), chunk_rows)
        return np.concatenate([self.run(rows[start : start + chunk_rows]) for start in starts])


def has_cuda() -> bool:
    """Whether the installed ONNX Runtime knows CUDA at all; whether it works, a session tells."""
    return CUDA_PROVIDER in _onnxruntime().get_available_providers()


def runtime_version() -> str:
    """ONNX Runtime's version."""
    return str(_onnxruntime().__version__)


def _onnxruntime() -> Any:
    switch_telemetry_off()
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise ExportError(
            "ONNX Runtime is not installed, and the proof runs the model in it: pip install 'conveyor[cpu]', "
            "or 'conveyor[cuda]' for an NVIDIA GPU."
        ) from error
    onnxruntime.disable_telemetry_events()
    return onnxruntime


def _sentence(error: Exception) -> str:
    return " ".join(str(error).split())
