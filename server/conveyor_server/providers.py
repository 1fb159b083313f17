"""ONNX Runtime and its execution providers: which one models run on, found out by running something on it.

ONNX Runtime falls back to the CPU without an error when CUDA cannot be used. Here nothing falls back unseen.
"""

from __future__ import annotations

import logging
import os
from importlib import metadata
from types import ModuleType
from typing import Any, Final

from conveyor_server.errors import ProviderError

log = logging.getLogger(__name__)

CPU: Final = "CPUExecutionProvider"
CUDA: Final = "CUDAExecutionProvider"
RUNTIMES: Final = ("onnxruntime", "onnxruntime-gpu")

# An ONNX file with one node, y = Relu(x), for trying a provider: float x[1], opset 13.
_TINY_MODEL: Final = (
    b'\x08\x08:3\n\x0c\n\x01x\x12\x01y"\x04Relu\x12\x01gZ\x0f\n\x01x\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01'
    b"b\x0f\n\x01y\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01B\x04\n\x00\x10\r"
)


def load_runtime() -> ModuleType:
    """ONNX Runtime's module, with its telemetry off and only its errors logged. Raises ProviderError without one."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    try:
        import onnxruntime
    except ImportError as error:
        raise ProviderError(
            f"ONNX Runtime cannot be loaded ({error}); install conveyor[server,cpu] or conveyor[server,cuda]."
        ) from error
    onnxruntime.disable_telemetry_events()
    onnxruntime.set_default_logger_severity(3)
    runtime: ModuleType = onnxruntime
    return runtime


def installed_runtimes() -> dict[str, str]:
    """The installed distributions that hold an `onnxruntime` module, with their versions."""
    found = {}
    for name in RUNTIMES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def provider_options(provider: str) -> dict[str, Any]:
    """How each provider is set up. A new shape must not start a search, and memory grows by what is asked for."""
    if provider != CUDA:
        return {}
    return {
        "cudnn_conv_algo_search": "HEURISTIC",
        "arena_extend_strategy": "kSameAsRequested",
        # fp32 is proved with full precision.
        "use_tf32": "0",
    }


def problem_with(provider: str) -> str | None:
    """Why `provider` cannot be used on this machine, in one sentence; None when a model really ran on it."""
    runtime = load_runtime()
    if provider not in runtime.get_available_providers():
        return f"the installed ONNX Runtime {_runtimes_in_words()} has no {provider}{_advice(provider)}"
    try:
        if provider == CUDA:
            runtime.preload_dlls()
        session = runtime.InferenceSession(_TINY_MODEL, providers=[(provider, provider_options(provider))])
        session.run(None, {"x": _one()})
    except Exception as error:
        return f"a session on {provider} fails: {' '.join(str(error).split())[:400]}"
    if session.get_providers()[0] != provider:
        return f"ONNX Runtime gives {session.get_providers()[0]} where {provider} is asked for{_advice(provider)}"
    return None


def choose_provider(device: str) -> str:
    """The provider for `device` (auto, cpu or cuda). Raises ProviderError when CUDA is asked for and unusable."""
    if device == "cpu":
        return CPU
    problem = problem_with(CUDA)
    if problem is None:
        return CUDA
    if device == "cuda":
        raise ProviderError(f"CUDA was asked for and cannot be used: {problem}. `conveyor doctor` says more.")
    level = logging.WARNING if "onnxruntime-gpu" in installed_runtimes() else logging.DEBUG
    log.log(level, "models run on the CPU: %s", problem)
    return CPU


def _one() -> Any:
    import numpy as np

    return np.ones(1, np.float32)


def _runtimes_in_words() -> str:
    return "(" + ", ".join(f"{name} {version}" for name, version in installed_runtimes().items()) + ")"


def _advice(provider: str) -> str:
    if provider != CUDA:
        return ""
    if len(installed_runtimes()) == 2:
        return "; onnxruntime and onnxruntime-gpu are both installed and hide each other: remove both, then install one"
    if "onnxruntime-gpu" not in installed_runtimes():
        return "; install conveyor[server,cuda] in place of conveyor[server,cpu]"
    return "; the driver or a CUDA library is missing or too old"
