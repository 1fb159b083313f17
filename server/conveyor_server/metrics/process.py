"""What the system says of a process: memory, open descriptors, threads. Only where there is a /proc."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from conveyor_server.metrics.family import Family, Merge, Sample, gauge

PROC: Final = Path("/proc/self")
PAGE: Final = os.sysconf("SC_PAGE_SIZE")


def resident_bytes() -> int:
    """Memory that the process holds, in bytes."""
    return int((PROC / "statm").read_text().split()[1]) * PAGE


def open_descriptors() -> int:
    """Files and connections; the descriptor that looks is not counted."""
    return len(os.listdir(PROC / "fd")) - 1


def threads() -> int:
    """Threads, those of libraries included."""
    # The name before it, in parentheses, may hold anything.
    return int((PROC / "stat").read_text().rpartition(")")[2].split()[17])


FIGURES: Final[dict[str, tuple[str, Callable[[], int]]]] = {
    "conveyor_process_resident_bytes": ("Memory that the process holds.", resident_bytes),
    "conveyor_process_open_descriptors": ("Files and connections that the process has open.", open_descriptors),
    "conveyor_process_threads": ("Threads of the process.", threads),
}


class ProcessSource:
    """A metrics source of this process, labelled with the name that it is given."""

    def __init__(self, name: str) -> None:
        self._labels = {"process": name}

    def families(self) -> Iterable[Family]:
        """Without samples where the system does not say."""
        for name, (text, figure) in FIGURES.items():
            samples = [Sample(labels=self._labels, value=figure())] if PROC.exists() else []
            yield gauge(name, text, samples, Merge.MAX)
