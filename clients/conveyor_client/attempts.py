"""When a stream that broke is begun again: how often, and after how long."""

import random
import time

import grpc

# Between calls, in seconds: 0.1, 0.4, 1.6, 5. Longer than for single calls: a stream may well have one server only,
# and should outlive its restart.
_INITIAL_BACKOFF, _MULTIPLIER, _MAX_BACKOFF = 0.1, 4, 5.0
_PUSHBACK = "grpc-retry-pushback-ms"
_AGAIN = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)


class Attempts:
    """Counts calls that failed one after the other without an answer between them. Times in seconds."""

    def __init__(self, max_attempts: int, timeout: float | None) -> None:
        self._max = max_attempts
        self._end = None if timeout is None else time.monotonic() + timeout
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
        backoff = min(_MAX_BACKOFF, _INITIAL_BACKOFF * _MULTIPLIER ** (self._failed - 1))
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
