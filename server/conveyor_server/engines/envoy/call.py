"""One call that Envoy carries: what its handler sees of it, and how it is cut off when nobody waits for it any more."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final

from conveyor_server.calls import REQUEST_ID_KEY, CallError, is_request_id
from conveyor_server.engines.envoy.metadata import (
    CERTIFICATE_HEADER,
    decode_metadata,
    name_of_certificate,
    name_of_peer,
    parse_timeout,
)
from conveyor_server.statuses import Code

# ASGI's own types: a scope and an event are dictionaries whose keys depend on their "type".
Scope = dict[str, Any]
Event = dict[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
# Of a repeated header the last one.
Headers = Mapping[bytes, bytes]

DISCONNECT: Final = "http.disconnect"
_REQUEST_ID: Final = REQUEST_ID_KEY.encode()

# Seconds between two looks at the calls in progress; nearly all are answered before the first.
TICK: Final = 0.02
# How often a call is asked about whose caller may have gone: first after a tick, then each time twice as late, until
# the questions are MAX_INTERVAL seconds apart.
MAX_INTERVAL: Final = 1.0
# Seconds that a handler has to notice its deadline itself: it can say better where the time went.
DEADLINE_GRACE: Final = 0.01


class Calls:
    """The calls in progress. One timer looks at all of them, so that a quick call costs nothing."""

    def __init__(self) -> None:
        self._calls: set[Call] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, call: Call) -> None:
        """Has the call looked at from now on."""
        self._calls.add(call)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TICK, self._look)

    def remove(self, call: Call) -> None:
        """Leaves the call alone from now on."""
        self._calls.discard(call)

    async def end(self, failure: CallError, grace: float, last_words: float) -> None:
        """Cuts off those that are still there after `grace` seconds, and gives them `last_words` seconds to say so."""
        if tasks := [call.task for call in self._calls if call.task is not None]:
            await asyncio.wait(tasks, timeout=grace)
            for call in list(self._calls):
                call.cut(failure)
            await asyncio.wait(tasks, timeout=last_words)

    def _look(self) -> None:
        now = time.monotonic()
        for call in list(self._calls):
            call.look(now)
        self._timer = asyncio.get_running_loop().call_later(TICK, self._look) if self._calls else None


class Call:
    """A call in progress, and a CallContext. `with call:` has it watched: past its deadline, or once its caller has
    gone, its task is cancelled, and that leaves the `with` as the CallError that ends the call.
    """

    # What few calls ever change stands here, so that a call is quickly made.
    trailing: Sequence[tuple[str, str]] = ()
    # Seconds of `time.monotonic()`, or None.
    deadline: float | None = None
    task: asyncio.Task[Any] | None = None
    _receive: Receive | None = None
    _failure: CallError | None = None
    _interval = TICK
    _next_question = 0.0

    def __init__(self, scope: Scope, headers: Headers, calls: Calls) -> None:
        """Takes part in `calls` while it is watched."""
        self._scope = scope
        self._calls = calls
        self.headers = headers
        given = headers.get(_REQUEST_ID)
        if given is not None and is_request_id(request_id := given.decode("latin-1")):
            # What the caller calls its call goes back with the answer, whatever that is.
            self.trailing = ((REQUEST_ID_KEY, request_id),)

    @property
    def peer(self) -> str:
        """The caller's address."""
        return name_of_peer(self._scope["client"])

    @property
    def metadata(self) -> Mapping[str, str | bytes]:
        """The call's metadata."""
        return decode_metadata(self.headers)

    @property
    def certificate_name(self) -> str | None:
        """Whom the caller's certificate names; only Envoy itself can have written the header."""
        return name_of_certificate(self.headers.get(CERTIFICATE_HEADER))

    def add_trailing_metadata(self, key: str, value: str) -> None:
        """Adds a pair to the trailing metadata."""
        self.trailing = (*self.trailing, (key, value))

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

    def look(self, now: float) -> None:
        """Cuts the call off when its deadline has passed, and asks whether its caller is still there."""
        if self.deadline is not None and now >= self.deadline + DEADLINE_GRACE:
            self.cut(CallError(Code.DEADLINE_EXCEEDED, "the deadline passed before there was an answer"))
        elif self._receive is not None and now >= self._next_question:
            self._next_question = now + self._interval
            self._interval = min(2 * self._interval, MAX_INTERVAL)
            asyncio.ensure_future(self._receive()).add_done_callback(self.see)

    def __enter__(self) -> None:
        """Raises CallError for a grpc-timeout that cannot be read."""
        timeout = self.headers.get(b"grpc-timeout")
        if timeout is not None:
            self.deadline = time.monotonic() + parse_timeout(timeout)
        self.task = asyncio.current_task()
        self._calls.add(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._calls.remove(self)
        self.task = None
        if kind is asyncio.CancelledError and self._failure is not None:
            # Let go of: it will hold the frames of the call, which hold the call.
            failure, self._failure = self._failure, None
            try:
                raise failure
            finally:
                del failure


def caller_gone() -> CallError:
    """How a call ends whose caller waits no longer; nobody reads it."""
    return CallError(Code.CANCELLED, "the caller has gone")
