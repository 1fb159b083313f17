"""One call that Envoy carries: what its handler sees of it, and how it is cut off when nobody waits for it any more."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Final

from conveyor_server.calls import CallError
from conveyor_server.engines.envoy.metadata import decode_metadata, name_of_peer, parse_timeout
from conveyor_server.statuses import Code

# ASGI's own types: a scope and an event are dictionaries whose keys depend on their "type".
Scope = dict[str, Any]
Event = dict[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]

DISCONNECT: Final = "http.disconnect"

# Seconds after which a call is first looked at: nearly all are answered by then. Each next look comes twice as late,
# until they are MAX_INTERVAL apart.
FIRST_INTERVAL: Final = 0.02
MAX_INTERVAL: Final = 1.0
# Seconds that a handler has to notice its deadline itself: it can say better where the time went.
DEADLINE_GRACE: Final = 0.01


class Call:
    """A call in progress, and a CallContext. `with call:` has it watched: past its deadline, or once its caller has
    gone, its task is cancelled, and that leaves the `with` as the CallError that ends the call.
    """

    __slots__ = (
        "_deadline",
        "_failure",
        "_interval",
        "_live",
        "_receive",
        "_scope",
        "_timer",
        "headers",
        "task",
        "trailing",
    )

    def __init__(self, scope: Scope, live: set[Call]) -> None:
        """Takes part in `live` while it is watched. Raises CallError for a grpc-timeout that cannot be read."""
        self._scope = scope
        self._live = live
        # Of a repeated header the last one.
        self.headers: Mapping[bytes, bytes] = dict(scope["headers"])
        self.trailing: list[tuple[str, str]] = []
        timeout = self.headers.get(b"grpc-timeout")
        self._deadline = None if timeout is None else time.monotonic() + parse_timeout(timeout)
        self._receive: Receive | None = None
        self._failure: CallError | None = None
        self.task: asyncio.Task[Any] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._interval = FIRST_INTERVAL

    @property
    def deadline(self) -> float | None:
        """Seconds of `time.monotonic()`, or None."""
        return self._deadline

    @property
    def peer(self) -> str:
        """The caller's address."""
        return name_of_peer(self._scope["client"])

    @property
    def metadata(self) -> Mapping[str, str | bytes]:
        """The call's metadata."""
        return decode_metadata(self.headers)

    def add_trailing_metadata(self, key: str, value: str) -> None:
        """Adds a pair to the trailing metadata."""
        self.trailing.append((key, value))

    def see(self, event: asyncio.Future[Event]) -> None:
        """Takes note of an event of `receive` that the handler does not wait for: ends the call if it is the last."""
        if not event.cancelled() and event.result()["type"] == DISCONNECT:
            self.cut(caller_gone())

    def request_complete(self, receive: Receive) -> None:
        """From now on `receive` may be asked whether the caller is still there.

        Before, it gives parts of the request; after, it answers at once, and does not wait for a caller to go.
        """
        self._receive = receive

    def cut(self, failure: CallError) -> None:
        """Ends the call with the failure, if it is still being watched."""
        if self.task is not None and self._failure is None:
            self._failure = failure
            self.task.cancel()

    def __enter__(self) -> None:
        self.task = asyncio.current_task()
        self._live.add(self)
        self._look_later()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._live.discard(self)
        self.task = None
        if self._timer is not None:
            self._timer.cancel()
        if kind is asyncio.CancelledError and self._failure is not None:
            raise self._failure

    def _look_later(self) -> None:
        delay = self._interval
        if self._deadline is not None:
            delay = min(delay, self._deadline + DEADLINE_GRACE - time.monotonic())
        self._timer = asyncio.get_running_loop().call_later(max(0.0, delay), self._look)

    def _look(self) -> None:
        if self._deadline is not None and time.monotonic() >= self._deadline + DEADLINE_GRACE:
            self.cut(CallError(Code.DEADLINE_EXCEEDED, "the deadline passed before there was an answer"))
            return
        self._interval = min(2 * self._interval, MAX_INTERVAL)
        self._look_later()
        if self._receive is not None:
            asyncio.ensure_future(self._receive()).add_done_callback(self.see)


def caller_gone() -> CallError:
    """How a call ends whose caller waits no longer; nobody reads it."""
    return CallError(Code.CANCELLED, "the caller has gone")
