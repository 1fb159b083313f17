"""What a load is made of: the call, the requests and how they come. Plain values, sent to the load's processes."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

CLASSIFY = "/conveyor.v1.ClassifierService/Classify"
CLASSIFY_STREAM = "/conveyor.v1.ClassifierService/ClassifyStream"
MODEL_INFER = "/inference.GRPCInferenceService/ModelInfer"


@dataclass(frozen=True, kw_only=True)
class Workload:
    """Serialised requests, sent in turn. `timeout` in seconds; `streams` only for ClassifyStream."""

    address: str
    method: str
    requests: tuple[bytes, ...]
    timeout: float = 10.0
    connections: int = 1
    streams: int = 1


@dataclass(frozen=True, kw_only=True)
class ClosedLoop:
    """A fixed number of requests under way."""

    concurrency: int

    def share(self, number: int, processes: int) -> "ClosedLoop":
        """What the process of this number does of it; none with 0 under way as long as processes <= concurrency."""
        return ClosedLoop(concurrency=self.concurrency // processes + (number < self.concurrency % processes))


@dataclass(frozen=True, kw_only=True)
class OpenLoop:
    """Requests at a rate per second, sent whether or not answers come; `offset` seconds before the first gap."""

    rate: float
    arrivals: Literal["poisson", "constant"] = "poisson"
    seed: int = 0
    offset: float = 0.0

    def share(self, number: int, processes: int) -> "OpenLoop":
        """An equal part of the rate: independent arrivals, or evenly spaced ones that interleave."""
        return OpenLoop(
            rate=self.rate / processes,
            arrivals=self.arrivals,
            seed=self.seed * processes + number,
            offset=0.0 if self.arrivals == "poisson" else (number + 1 - processes) / self.rate,
        )

    def send_times(self, duration: float) -> Iterator[float]:
        """Seconds from the start, ascending and below duration, `rate` of them a second on average."""
        source = random.Random(self.seed)  # noqa: S311 - a load, not secrets
        moment = self.offset
        while True:
            moment += source.expovariate(self.rate) if self.arrivals == "poisson" else 1 / self.rate
            if moment >= duration:
                return
            yield moment


Loop = ClosedLoop | OpenLoop
