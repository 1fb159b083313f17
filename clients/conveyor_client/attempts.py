"""When a call that failed is made again: how often, and after how long.

gRPC's own retryPolicy is not enough: it never retries once response headers have come, and a proxy on the way, such
as Envoy, sends them by themselves even for a call that was refused.
"""

import random
import time
from dataclasses import dataclass

import grpc

_PUSHBACK = "grpc-retry-pushback-ms"
_AGAIN = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)


@dataclass(frozen=True, kw_only=True)
class Backoff:
    """The waits between attempts, in seconds."""

    initial: float
    multiplier: float
    maximum: float


# 0.1, 0.3, 0.9, 2: together much longer than it takes to reconnect to a server that is back, so that a rolling restart
# shows in no call.
CALL_BACKOFF = Backoff(initial=0.1, multiplier=3, maximum=2.0)
# 0.1, 0.4, 1.6, 5: a stream may well have one server only, and should outlive its restart.
STREAM_BACKOFF = Backoff(initial=0.1, multiplier=4, maximum=5.0)


class Attempts:
    """Counts calls that failed one after the other without an answer between them. Times in seconds."""

    def __init__(self, max_attempts: int, timeout: float | None, backoff: Backoff) -> None:
        self._max = max_attempts
        self._end = None if timeout is None else time.monotonic() + timeout
        self._backoff = backoff
        self._failed = 0

    def answered(self) -> None:
        """Notes that the call under way has given an answer."""
        self._failed = 0

    def remaining(self) -> float | None:
        """What is left of the timeout."""
        return None if self._end is None else max(0.0, self._end - time.monotonic())

    def wait_after(self, code: grpc.StatusCode, pushback: float | None = None) -> float | None:
        """How long to wait before the next call, None to give up. A negative pushback is the server's own no."""
        self._failed += 1
        if code not in _AGAIN or self._failed >= self._max:
            return None
        given = self._backoff
        backoff = min(given.maximum, given.initial * given.multiplier ** (self._failed - 1))
        wait = backoff * random.uniform(0.8, 1.2) if pushback is None else pushback  # noqa: S311 - spreads callers
        remaining = self.remaining()
        return None if wait < 0 or (remaining is not None and wait >= remaining) else wait


def pushback(error: grpc.RpcError) -> float | None:
    """The wait that the server asked for, in seconds; below 0 for "not at all", None where it said nothing."""
    if not isinstance(error, grpc.Call | grpc.aio.AioRpcError):
        return None
    for key, value in error.trailing_metadata() or ():
        if key == _PUSHBACK:
            try:
                return int(value) / 1000
            except ValueError:
                return -1.0
    return None
