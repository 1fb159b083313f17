"""What each process of the server holds, looked at again and again: memory, threads, file descriptors."""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.scene import Scene

INTERVAL = 1.0  # seconds


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One process at one moment. `seconds` since the soak began."""

    seconds: float
    pid: int
    resident_mib: float
    threads: int
    # How many of each name; those that Python starts have the program's.
    thread_names: Counter[str]
    descriptors: int
    # Answers to all callers so far.
    answered: int

    @property
    def own_threads(self) -> Counter[str]:
        """All but those of grpcio's own pool, which takes one more now and then, up to a limit of its own."""
        return Counter({name: n for name, n in self.thread_names.items() if not name.startswith("event_engine")})


def connections_to(address: str) -> int:
    """How many connections this process has open to that port of this machine."""
    port = f":{int(address.rpartition(':')[2]):04X}"
    own = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            own.add(os.readlink(descriptor))
    lines = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()]
    return sum(line[2].endswith(port) and f"socket:[{line[9]}]" in own for line in lines)


def look_at(pid: int, seconds: float = 0.0, answered: int = 0) -> Sample | None:
    """The process now; None when it has gone."""
    folder = Path(f"/proc/{pid}")
    try:
        status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines() if ":" in line)
        names = Counter((task / "comm").read_text().strip() for task in (folder / "task").iterdir())
        descriptors = len(list((folder / "fd").iterdir()))
    except OSError:
        return None
    if "VmRSS" not in status:
        return None
    return Sample(
        seconds=seconds,
        pid=pid,
        resident_mib=int(status["VmRSS"].split()[0]) / 1024,
        threads=names.total(),
        thread_names=names,
        descriptors=descriptors,
        answered=answered,
    )


class Sampler:
    """Collects samples of every process of a scene, and the moments of what was done to it."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self.samples: list[Sample] = []
        # Seconds since the beginning, and what happened then.
        self.events: list[tuple[float, str]] = []

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._began

    def note_event(self, name: str) -> None:
        """Something was done to the server just now."""
        self.events.append((self.seconds, name))

    async def run(self, scene: Scene) -> None:
        """Looks every INTERVAL seconds, until cancelled."""
        while True:
            for pid in scene.processes():
                sample = look_at(pid, self.seconds, scene.callers.tally.answered)
                if sample is not None:
                    self.samples.append(sample)
            await asyncio.sleep(INTERVAL)

    def by_process(self) -> Iterator[tuple[int, Sequence[Sample]]]:
        """Each process with its samples, in the order in which they were first seen."""
        for pid in dict.fromkeys(sample.pid for sample in self.samples):
            yield pid, [sample for sample in self.samples if sample.pid == pid]
