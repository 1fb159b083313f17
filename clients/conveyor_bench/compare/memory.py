"""Memory of a server's processes, read from Linux's /proc."""

from __future__ import annotations

from pathlib import Path

_KB_PER_MB = 1000 / 1.024


def largest_process(pid: int) -> float:
    """Resident memory, in MB, of the largest among this process and those that it started."""
    return max(_resident(each) for each in (pid, *_started_by(pid)))


def all_processes(pid: int) -> float:
    """Resident memory, in MB, of this process and those that it started together; what they share counts for each."""
    return sum(_resident(each) for each in (pid, *_started_by(pid)))


def _resident(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return float(line.split()[1]) / _KB_PER_MB
    return 0.0


def _started_by(pid: int) -> list[int]:
    children = [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [*children, *(further for child in children for further in _started_by(child))]
