"""The settings that are tried, and how each did."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from conveyor_bench.sweep import Sweep
from conveyor_bench.tune.evidence import Usage


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A file and the settings to serve it with, by the names that `conveyor serve` gives them; delay in ms."""

    model_file: Path
    engine: str
    workers: int
    instance_count: int
    intra_op_threads: int
    max_queue_delay: float = 0.0

    @property
    def serve_settings(self) -> dict[str, str | int | float]:
        """What `conveyor serve` is to be told."""
        return {name: value for name, value in asdict(self).items() if name != "model_file"}

    @property
    def options(self) -> list[str]:
        """The same as flags."""
        flags = ((f"--{name.replace('_', '-')}", str(value)) for name, value in self.serve_settings.items())
        return [word for flag in flags for word in flag]

    @property
    def title(self) -> str:
        """The candidate in a few words."""
        return (
            f"{self.engine}, {self.workers} x {self.instance_count} sessions of {self.intra_op_threads} threads, "
            f"delay {self.max_queue_delay:g} ms"
        )


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A candidate, what it carried and what it used; `sweep` is None where the server did not start: see `problem`."""

    candidate: Candidate
    sweep: Sweep | None
    usage: Usage | None = None
    problem: str = ""

    @property
    def rate(self) -> float:
        """The highest rate within the SLO, in requests a second; 0 for none."""
        return 0.0 if self.sweep is None or self.sweep.best is None else self.sweep.best.rate


def first_candidates(files: Sequence[Path], engines: Sequence[str], cores: int, workers: int) -> Iterator[Candidate]:
    """Every way to share the cores out among workers, sessions and threads, without waiting for company.

    More sessions than cores only wait for each other and are not tried.
    """
    for file in files:
        for engine in engines:
            for count in range(1, workers + 1):
                for instances in range(1, max(1, cores // count) + 1):
                    most = max(1, cores // (count * instances))
                    for threads in sorted({1, most}):
                        yield Candidate(
                            model_file=file,
                            engine=engine,
                            workers=count,
                            instance_count=instances,
                            intra_op_threads=threads,
                        )
