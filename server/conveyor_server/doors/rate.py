"""How often each caller may call: so many a second, and so many at once after a pause."""

from __future__ import annotations

import ipaddress
import math
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

# Callers that are remembered; with more, the one that was new the longest ago is forgotten, and starts afresh.
MAX_CALLERS: Final = 10_000
# Seconds between two searches for callers that need not be remembered.
TIDY_SECONDS: Final = 1.0
# Whoever has an address of IPv6 has the rest of its network too.
_IPV6_NETWORK_BITS: Final = 64


class RateLimiter:
    """For each caller the time, in seconds of the clock, when all that it sent would have been due."""

    def __init__(self, rate: float, burst: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        """`rate` calls a second; `burst` calls at once, 0 for a second's worth."""
        self._interval = 1.0 / rate
        self._slack = ((burst or max(1, math.floor(rate))) - 1) * self._interval
        self._clock = clock
        self._due: dict[str, float] = {}
        self._tidied = clock()

    def __len__(self) -> int:
        return len(self._due)

    def take(self, caller: str) -> float:
        """Counts a call, and gives 0; or counts none, and gives the seconds after which one may come."""
        now = self._clock()
        wait = self._wait(caller, now)
        if wait <= 0.0:
            self._count(caller, now)
        return max(0.0, wait)

    def reserve(self, caller: str) -> float:
        """Counts a call that comes in any case, and gives the seconds until its turn."""
        now = self._clock()
        wait = self._wait(caller, now)
        self._count(caller, now)
        return max(0.0, wait)

    def _wait(self, caller: str, now: float) -> float:
        return self._due.get(caller, now) - self._slack - now

    def _count(self, caller: str, now: float) -> None:
        if caller not in self._due and len(self._due) >= MAX_CALLERS:
            self._tidy(now)
        self._due[caller] = max(self._due.get(caller, now), now) + self._interval

    def _tidy(self, now: float) -> None:
        if now - self._tidied >= TIDY_SECONDS:
            self._tidied = now
            self._due = {caller: due for caller, due in self._due.items() if due > now}
        if len(self._due) >= MAX_CALLERS:
            del self._due[next(iter(self._due))]


@lru_cache(maxsize=MAX_CALLERS)
def network_of(peer: str) -> str:
    """Of a caller's address in gRPC's notation what it cannot change at will: no port, of IPv6 only the network."""
    kind, _, rest = unquote(peer).partition(":")
    host = rest.rpartition(":")[0].strip("[]").partition("%")[0]
    if kind == "ipv6":
        try:
            return str(ipaddress.ip_network((host, _IPV6_NETWORK_BITS), strict=False))
        except ValueError:
            return host
    return host or peer
