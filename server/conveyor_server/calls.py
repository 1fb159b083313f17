"""What a handler sees of a call, and what an engine sees of a handler: the boundary between the two.

Handlers are async functions over protobuf messages, written once. An engine (grpcio, or another that speaks gRPC)
carries bytes: for each method of a table it calls `answer_unary` or `answer_stream`, and turns a `CallError` into
its own way of ending a call. A call that its caller cancelled reaches the handler as the cancellation of its task.
"""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Protocol

from google.protobuf.message import DecodeError, Message

from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.groups import Group
from conveyor_server.line_limit import LineLimit
from conveyor_server.statuses import Code, CodeTable

log = logging.getLogger(__name__)
# Of errors that nobody foresaw.
_lines = LineLimit()

RETRY_KEY = "grpc-retry-pushback-ms"
# What a caller calls its call; sent back with the answer.
REQUEST_ID_KEY = "x-request-id"
_REQUEST_ID = re.compile(r"[!-~]{1,128}")


class CallContext(Protocol):
    """One call, as its handler sees it."""

    @property
    def deadline(self) -> float | None:
        """The caller's deadline in seconds of `time.monotonic()`; None without one."""

    @property
    def peer(self) -> str:
        """The caller's address, in gRPC's notation."""

    @property
    def metadata(self) -> Mapping[str, str | bytes]:
        """The call's metadata; of a repeated key the last value."""

    @property
    def certificate_name(self) -> str | None:
        """Whom the caller's certificate names, once it is verified; None for a caller without one."""

    def add_trailing_metadata(self, key: str, value: str) -> None:
        """Adds a pair to what is sent after the answer."""


class Response(Protocol):
    """A protobuf message, or what can write the bytes of one."""

    def SerializeToString(self) -> bytes:  # noqa: N802 -- protobuf's own name
        """The message's bytes."""


class SerializedResponse:
    """A message that was put together as bytes."""

    __slots__ = ("_wire",)

    def __init__(self, wire: bytes) -> None:
        self._wire = wire

    def SerializeToString(self) -> bytes:  # noqa: N802 -- protobuf's own name
        """The message's bytes."""
        return self._wire


# The handlers' own types differ from method to method, and a table holds them all: hence Any, only here.
UnaryHandler = Callable[[Any, CallContext], Awaitable[Response]]
StreamHandler = Callable[[AsyncIterator[Any], CallContext], AsyncGenerator[Response, None]]


# Waits until the next message of a stream may be read.
Pace = Callable[[], Awaitable[None]]
# Looks at a call before anything of it is parsed. Raises ServingError for a caller who may not come in; gives the pace
# at which the messages of a stream are read, or None where it does not matter. See `doors/`.
Guard = Callable[[CallContext], Pace | None]


class Watch(Protocol):
    """Whoever looks at a method's calls answers them in its place, and has the method answer; see `tracing/`."""

    async def answer_unary(self, payload: bytes, context: CallContext) -> bytes:
        """As the function of that name."""

    def answer_stream(self, payloads: AsyncIterator[bytes], context: CallContext) -> AsyncGenerator[bytes, None]:
        """As the function of that name."""


class Shortcut(Protocol):
    """A quicker way to the same answers, for requests of a form that was seen before; see `request_forms.py`."""

    def take(self, payload: bytes, context: CallContext) -> Awaitable[bytes] | None:
        """The answer to come; None for a request that must go the long way, which knows every case and every error."""

    def learn(self, payload: bytes, request: Any) -> None:
        """Sees a request that goes the long way."""


@dataclass(frozen=True, kw_only=True)
class UnaryMethod:
    """One message in, one out."""

    handler: UnaryHandler
    request_type: type[Message]
    codes: CodeTable
    # Closed where nothing else is said.
    group: Group = Group.ADMIN
    guard: Guard | None = None
    watch: Watch | None = None
    shortcut: Shortcut | None = None


@dataclass(frozen=True, kw_only=True)
class StreamMethod:
    """Any number of messages in and out. A single request is a stream of one: the wire is the same."""

    handler: StreamHandler
    request_type: type[Message]
    codes: CodeTable
    # Closed where nothing else is said.
    group: Group = Group.ADMIN
    guard: Guard | None = None
    watch: Watch | None = None


Method = UnaryMethod | StreamMethod
# From the full path, "/package.Service/Method".
MethodTable = Mapping[str, Method]


class CallError(Exception):
    """How a call ends that is not answered: its code, its message and its trailing metadata."""

    def __init__(self, code: Code, message: str, retry_after_ms: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.trailing_metadata = () if retry_after_ms is None else ((RETRY_KEY, str(retry_after_ms)),)


async def answer_unary(method: UnaryMethod, payload: bytes, context: CallContext) -> bytes:
    """Parses, handles, serialises. Raises nothing but CallError and the task's own cancellation."""
    if method.watch is not None:
        return await method.watch.answer_unary(payload, context)
    try:
        if method.guard is not None:
            method.guard(context)
        shortcut = method.shortcut
        if shortcut is not None and (answer := shortcut.take(payload, context)) is not None:
            return await answer
        request = method.request_type.FromString(payload)
        if shortcut is not None:
            shortcut.learn(payload, request)
        response = await method.handler(request, context)
        return response.SerializeToString()
    except Exception as error:
        raise failure_of(error, method) from error


async def answer_stream(
    method: StreamMethod, payloads: AsyncIterator[bytes], context: CallContext
) -> AsyncGenerator[bytes, None]:
    """Yields the serialised answers. Raises nothing but CallError and the task's own cancellation."""
    if method.watch is not None:
        async with aclosing(method.watch.answer_stream(payloads, context)) as watched:
            async for answer in watched:
                yield answer
        return
    parse = method.request_type.FromString
    try:
        pace = None if method.guard is None else method.guard(context)
        if pace is not None:
            payloads = _paced(payloads, pace)
        requests = (parse(payload) async for payload in payloads)
        async with aclosing(method.handler(requests, context)) as responses:
            async for response in responses:
                yield response.SerializeToString()
    except CallError:
        # The engine's own: the next payload could not be read.
        raise
    except Exception as error:
        raise failure_of(error, method) from error


async def _paced(payloads: AsyncIterator[bytes], pace: Pace) -> AsyncGenerator[bytes, None]:
    async for payload in payloads:
        await pace()
        yield payload


def is_request_id(value: str) -> bool:
    """Whether it can be sent back, and logged, as it is: up to 128 visible ASCII characters."""
    return _REQUEST_ID.fullmatch(value) is not None


def failure_of(error: Exception, method: Method) -> CallError:
    """How the call ends after `error`, in the codes of the method's wire."""
    if isinstance(error, DecodeError):
        name = method.request_type.DESCRIPTOR.full_name
        error = ServingError(ErrorKind.INVALID_ARGUMENT, f"the request is not a {name} message")
    known = known_error(error)
    return CallError(method.codes[known.kind], str(known), known.retry_after_ms)


def known_error(error: Exception) -> ServingError:
    """The error itself where it was foreseen. Any other goes to the log, and only its number to the caller."""
    if isinstance(error, ServingError):
        return error
    number = secrets.token_hex(4)
    if _lines.write_error(log, error, "unexpected error %s", number):
        return ServingError(ErrorKind.INTERNAL, f"internal error {number}: the server's log has the cause")
    return ServingError(ErrorKind.INTERNAL, "internal error, one of many: the server's log has the causes of others")
