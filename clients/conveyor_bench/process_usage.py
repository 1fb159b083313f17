"""What a process and all that it started use of the machine, read from /proc; nothing where there is no /proc."""

from __future__ import annotations

import os
from pathlib import Path

_PROC = Path("/proc")


def cpu_seconds(root: int) -> float | None:
    """CPU time that the tree of processes has used so far."""
    ticks = [sum(map(int, fields[11:13])) for pid in _tree(root) if (fields := _stat(pid)) is not None]
    return sum(ticks) / os.sysconf("SC_CLK_TCK") if ticks else None


def memory_bytes(root: int) -> int | None:
    """Memory that the tree of processes holds; pages that several share are counted once."""
    held = [size for pid in _tree(root) if (size := _proportional_bytes(pid)) is not None]
    return sum(held) if held else None


def _tree(root: int) -> list[int]:
    parents = {
        int(folder.name): int(fields[1])
        for folder in _PROC.glob("[0-9]*")
        if (fields := _stat(int(folder.name))) is not None
    }
    found = [root] if root in parents else []
    for pid in found:  # grows as children are found
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def _stat(pid: int) -> list[str] | None:
    """The fields after the name, which may itself hold blanks and brackets: state, parent, ..."""
    try:
        return (_PROC / str(pid) / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except (OSError, UnicodeDecodeError):
        return None


def _proportional_bytes(pid: int) -> int | None:
    try:
        lines = (_PROC / str(pid) / "smaps_rollup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:")), None)
