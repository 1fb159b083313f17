"""ONNX Runtime and its execution providers: which one models run on, found out by running something on it.

ONNX Runtime falls back to the CPU without an error when CUDA cannot be used. Here nothing falls back unseen.
"""

from __future__ import annotations

import ctypes
import logging
from dataclasses import dataclass, replace
from importlib import metadata
from types import ModuleType
from typing import Any, Final

from conveyor_contract.telemetry import switch_telemetry_off
from conveyor_server.errors import ProviderError

log = logging.getLogger(__name__)

CPU: Final = "CPUExecutionProvider"
CUDA: Final = "CUDAExecutionProvider"
TENSORRT: Final = "TensorrtExecutionProvider"
OPENVINO: Final = "OpenVINOExecutionProvider"
# By the words of --device.
PROVIDERS: Final = {"cpu": CPU, "cuda": CUDA, "tensorrt": TENSORRT, "openvino": OPENVINO}
# Every batch size costs them a search, or an engine, and memory of its own: they run the contract's buckets only.
OF_FIXED_SIZES: Final = frozenset({CUDA, TENSORRT, OPENVINO})
ON_NVIDIA: Final = frozenset({CUDA, TENSORRT})
RUNTIMES: Final = ("onnxruntime", "onnxruntime-gpu")

# An ONNX file with one node, y = Relu(x), for trying a provider: float x[1], opset 13.
_TINY_MODEL: Final = (
    b'\x08\x08:3\n\x0c\n\x01x\x12\x01y"\x04Relu\x12\x01gZ\x0f\n\x01x\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01'
    b"b\x0f\n\x01y\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01B\x04\n\x00\x10\r"
)


@dataclass(frozen=True, kw_only=True)
class DeviceOptions:
    """How models run on a GPU; the CPU does without."""

    device_id: int = 0
    # Bytes that ONNX Runtime may take for tensors and weights of one session; 0 for all there are. The libraries'
    # own memory, and other sessions', come on top.
    memory_limit: int = 0
    tf32: bool = False
    # Whether to record each bucket's run as a CUDA graph.
    graphs: bool = False


NO_OPTIONS: Final = DeviceOptions()


def device_count() -> int:
    """The NVIDIA GPUs that CUDA's driver shows to this process; 0 without a driver."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int()
    works = driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0
    return count.value if works else 0


def load_runtime() -> ModuleType:
    """ONNX Runtime's module, with its telemetry off and only its errors logged. Raises ProviderError without one."""
    switch_telemetry_off()
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


def provider_options(provider: str, device: DeviceOptions = NO_OPTIONS) -> dict[str, str]:
    """How each provider is set up. A new shape must not start a search, and memory grows by what is asked for."""
    if provider == CUDA:
        limit = {"gpu_mem_limit": str(device.memory_limit)} if device.memory_limit else {}
        return {
            "device_id": str(device.device_id),
            "cudnn_conv_algo_search": "HEURISTIC",
            "arena_extend_strategy": "kSameAsRequested",
            # fp32 is proved with full precision.
            "use_tf32": str(int(device.tf32)),
            "enable_cuda_graph": str(int(device.graphs)),
            **limit,
        }
    if provider == TENSORRT:
        limit = {"trt_max_workspace_size": str(device.memory_limit)} if device.memory_limit else {}
        # The file says its precision itself.
        own = {"trt_fp16_enable": "0", "trt_int8_enable": "0", "trt_cuda_graph_enable": str(int(device.graphs))}
        return {"device_id": str(device.device_id), **own, **limit}
    if provider == OPENVINO:
        return {"device_type": "CPU"}
    return {}


def providers_to_ask_for(provider: str, device: DeviceOptions = NO_OPTIONS) -> list[tuple[str, dict[str, str]]]:
    """In the order of preference: behind TensorRT stands CUDA, for what TensorRT leaves over."""
    asked = [provider, CUDA] if provider == TENSORRT else [provider]
    return [(name, provider_options(name, device)) for name in asked]


def problem_with(provider: str, device: DeviceOptions = NO_OPTIONS) -> str | None:
    """Why `provider` cannot be used on this machine, in one sentence; None when a model really ran on it."""
    runtime = load_runtime()
    if provider not in runtime.get_available_providers():
        return f"the installed ONNX Runtime {_runtimes_in_words()} has no {provider}{_advice(provider)}"
    try:
        if provider in ON_NVIDIA:
            runtime.preload_dlls()
        # Recording the one run of a trial would prove nothing.
        asked = providers_to_ask_for(provider, replace(device, graphs=False))
        session = runtime.InferenceSession(_TINY_MODEL, providers=asked)
        session.run(None, {"x": _one()})
    except Exception as error:
        return f"a session on {provider} fails: {' '.join(str(error).split())[:400]}"
    if session.get_providers()[0] != provider:
        return f"ONNX Runtime gives {session.get_providers()[0]} where {provider} is asked for{_advice(provider)}"
    return None


def choose_provider(device: str, options: DeviceOptions = NO_OPTIONS) -> str:
    """The provider for `device` (auto, or one of PROVIDERS). Raises ProviderError for one that is unusable here.

    auto is CUDA where it works, else the CPU.
    """
    if device == "cpu":
        return CPU
    wanted = PROVIDERS.get(device, CUDA)
    problem = problem_with(wanted, options)
    if problem is None:
        return wanted
    if device != "auto":
        raise ProviderError(
            f"{_WORDS[device]} was asked for and cannot be used: {problem}. `conveyor doctor` says more."
        )
    level = logging.WARNING if "onnxruntime-gpu" in installed_runtimes() else logging.DEBUG
    log.log(level, "models run on the CPU: %s", problem)
    return CPU


_WORDS: Final = {"cuda": "CUDA", "tensorrt": "TensorRT", "openvino": "OpenVINO"}


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
