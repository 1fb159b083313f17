"""What one measurement gives, and how those of several rounds are read."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Figures:
    """One measurement of one row; latencies in milliseconds, None where there are none."""

    requests_per_second: float
    p50: float | None = None
    p99: float | None = None
    client_limited: bool = False
    # Resident memory of all the server's processes, in MB, and seconds from its start to its first right answer.
    memory: float | None = None
    start: float | None = None


@dataclass(kw_only=True)
class Row:
    """A row of a table: every round's figures, and the names of the rows that it is compared with."""

    name: str
    images_per_request: int = 1
    compared_with: tuple[str, ...] = ()
    rounds: list[Figures] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """The median rate, in requests a second."""
        return median(each.requests_per_second for each in self.rounds)

    @property
    def p50(self) -> float | None:
        """The median over the rounds of the median latency."""
        return _median([each.p50 for each in self.rounds])

    @property
    def p99(self) -> float | None:
        """The median over the rounds of the 99th percentile."""
        return _median([each.p99 for each in self.rounds])

    @property
    def memory(self) -> float | None:
        """The median over the rounds of the resident memory, in MB."""
        return _median([each.memory for each in self.rounds])

    @property
    def start(self) -> float | None:
        """The median over the rounds of the seconds to the first answer."""
        return _median([each.start for each in self.rounds])


@dataclass(kw_only=True)
class Section:
    """One table: rows that took turns."""

    title: str
    note: str
    rows: list[Row]

    def ratio(self, row: Row, other: str) -> float:
        """Images a second of a row over those of another."""
        base = next(each for each in self.rows if each.name == other)
        return row.rate * row.images_per_request / (base.rate * base.images_per_request)

    def as_json(self) -> dict[str, Any]:
        """Every round's figures, the medians and the ratios, as JSON values."""
        return {
            "title": self.title,
            "note": self.note,
            "rows": [
                asdict(row)
                | {"requests_per_second": row.rate, "images_per_second": row.rate * row.images_per_request}
                | {"p50_ms": row.p50, "p99_ms": row.p99, "memory_mb": row.memory, "start_s": row.start}
                | {"ratios": {other: self.ratio(row, other) for other in row.compared_with}}
                for row in self.rows
            ],
        }


def _median(values: list[float | None]) -> float | None:
    known = [each for each in values if each is not None]
    return median(known) if known else None
