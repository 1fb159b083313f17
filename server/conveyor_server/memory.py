"""How much memory this process may use: the container's limit, and whether a server can start within it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from conveyor_server.cpu import CGROUP
from conveyor_server.errors import StartError

MIB: Final = 1024 * 1024
# Python, ONNX Runtime and gRPC, before any model.
LEAST_BYTES: Final = 128 * MIB
# Version 1 of cgroups has no word for "no limit": a number near 2 to the power of 63 stands for it.
_NO_LIMIT: Final = 1 << 60


def memory_limit(cgroup: Path = CGROUP) -> int | None:
    """Bytes that the container is limited to; None without a limit."""
    for file in (cgroup / "memory.max", cgroup / "memory" / "memory.limit_in_bytes"):
        try:
            limit = int(file.read_text())
        except (OSError, ValueError):  # not there, or "max"
            continue
        return limit if limit < _NO_LIMIT else None
    return None


def require_memory(cgroup: Path = CGROUP) -> None:
    """Raises StartError under a limit that the kernel would soon end the process for, without a word."""
    limit = memory_limit(cgroup)
    if limit is not None and limit < LEAST_BYTES:
        raise StartError(
            f"the container may use {limit // MIB} MiB of memory, and a server needs {LEAST_BYTES // MIB} MiB before "
            "any model: raise the container's memory limit."
        )
