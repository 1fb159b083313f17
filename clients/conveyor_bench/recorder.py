"""What is counted while a load runs: latencies, the server's own split, errors and changed answers.

Counters of whole microseconds: they cost next to nothing per request, travel between processes and add up; the
report makes histograms of them.
"""

from collections import Counter
from dataclasses import dataclass, field, fields


@dataclass
class Recorder:
    """The measurements of one run; distributions count microseconds."""

    latency: Counter[int] = field(default_factory=Counter)
    send_lag: Counter[int] = field(default_factory=Counter)  # how late the client itself sent
    queue: Counter[int] = field(default_factory=Counter)
    preprocess: Counter[int] = field(default_factory=Counter)
    compute: Counter[int] = field(default_factory=Counter)
    batch_size: Counter[int] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    answered: int = 0
    changed_answers: int = 0

    def took(self, latency: float) -> None:
        """One good answer; latency in seconds."""
        self.answered += 1
        self.latency[round(latency * 1e6)] += 1

    def split(self, queue_us: int, preprocess_us: int, compute_us: int, batch_size: int) -> None:
        """Where the server says that an answer's time went."""
        self.queue[queue_us] += 1
        self.preprocess[preprocess_us] += 1
        self.compute[compute_us] += 1
        self.batch_size[batch_size] += 1

    def failed(self, code: str) -> None:
        """One request without an answer, by its gRPC code."""
        self.errors[code] += 1

    def sent_late(self, lag: float) -> None:
        """How long after its intended time a request of the open loop was really sent, in seconds."""
        self.send_lag[round(lag * 1e6)] += 1

    def add(self, other: "Recorder") -> None:
        """Takes in what another process counted."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))
