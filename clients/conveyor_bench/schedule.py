"""When the requests of an open loop are meant to be sent."""

import random
from collections.abc import Iterator
from typing import Literal


def send_times(rate: float, duration: float, arrivals: Literal["poisson", "constant"], seed: int) -> Iterator[float]:
    """Seconds from the start, ascending and below duration, `rate` of them a second on average."""
    source = random.Random(seed)  # noqa: S311 - a load, not secrets
    moment = 0.0
    while True:
        moment += source.expovariate(rate) if arrivals == "poisson" else 1 / rate
        if moment >= duration:
            return
        yield moment
