"""Calls looked at from their first byte to their last, whatever engine carries them and whatever refuses them."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Protocol

from conveyor_server.calls import (
    REQUEST_ID_KEY,
    CallContext,
    CallError,
    Method,
    MethodTable,
    Response,
    StreamMethod,
    UnaryHandler,
    UnaryMethod,
    answer_stream,
    answer_unary,
    is_request_id,
)
from conveyor_server.statuses import Code
from conveyor_server.tracing.access_log import AccessLog
from conveyor_server.tracing.record import CURRENT, CallRecord

# What a tracer knows of the caller's trace; only it looks inside.
Parent = Any


class Tracer(Protocol):
    """Whoever makes spans of calls."""

    def parent_of(self, context: CallContext) -> Parent | None:
        """What the call's span hangs from; None when the call is not traced."""

    def write(self, record: CallRecord, parent: Parent) -> None:
        """Makes the spans of a call that is over. Sets the record's trace id."""


@dataclass(frozen=True, kw_only=True)
class Observers:
    """Who looks at calls."""

    access_log: AccessLog | None = None
    tracer: Tracer | None = None

    def watched(self, methods: MethodTable) -> MethodTable:
        """The methods, looked at; the very same ones when nobody looks."""
        if self.access_log is None and self.tracer is None:
            return methods
        return {path: replace(method, watch=_MethodWatch(self, path, method)) for path, method in methods.items()}


@dataclass(slots=True, kw_only=True)
class _Look:
    """One call, for as long as it lasts."""

    record: CallRecord
    is_logged: bool
    parent: Parent | None

    @property
    def is_wanted(self) -> bool:
        """Whether it is told of even if the call goes well."""
        return self.is_logged or self.parent is not None


class _MethodWatch:
    """Looks at the calls of one method."""

    def __init__(self, observers: Observers, path: str, method: Method) -> None:
        self._log = observers.access_log
        self._tracer = observers.tracer
        self._path = path
        # Without its shortcut: what is told of a call is in its parsed request.
        self._method = (
            replace(method, handler=_noting(method.handler), shortcut=None)
            if isinstance(method, UnaryMethod)
            else method
        )

    async def answer_unary(self, payload: bytes, context: CallContext) -> bytes:
        """As `calls.answer_unary`."""
        assert isinstance(self._method, UnaryMethod)
        look = self._begin(context)
        token = CURRENT.set(self._record_of(look))
        failure: BaseException | None = None
        try:
            return await answer_unary(self._method, payload, context)
        except BaseException as error:
            failure = error
            raise
        finally:
            CURRENT.reset(token)
            self._end(look, context, failure)

    async def answer_stream(self, payloads: AsyncIterator[bytes], context: CallContext) -> AsyncGenerator[bytes, None]:
        """As `calls.answer_stream`."""
        assert isinstance(self._method, StreamMethod)
        look = self._begin(context)
        # Not taken back: the task ends with the call.
        CURRENT.set(self._record_of(look))
        failure: BaseException | None = None
        try:
            async with aclosing(answer_stream(self._method, payloads, context)) as answers:
                async for answer in answers:
                    yield answer
        except BaseException as error:
            failure = error
            raise
        finally:
            self._end(look, context, failure)

    def _begin(self, context: CallContext) -> _Look:
        given = context.metadata.get(REQUEST_ID_KEY)
        own_id = given if isinstance(given, str) and is_request_id(given) else ""
        return _Look(
            record=CallRecord(path=self._path, peer=context.peer, request_id=own_id),
            is_logged=self._log is not None and self._log.chooses(),
            parent=None if self._tracer is None else self._tracer.parent_of(context),
        )

    def _record_of(self, look: _Look) -> CallRecord | None:
        """What is to be filled in: with an access log always, for nobody knows yet which calls fail."""
        return look.record if look.is_wanted or self._log is not None else None

    def _end(self, look: _Look, context: CallContext, failure: BaseException | None) -> None:
        if not look.is_wanted and (failure is None or self._log is None):
            return
        record = look.record
        record.note_end(*_how_it_ended(failure, context))
        if not record.request_id:
            # Sent back, so that the caller can tell us which one it was.
            record.request_id = secrets.token_hex(8)
            context.add_trailing_metadata(REQUEST_ID_KEY, record.request_id)
        if self._tracer is not None and look.parent is not None:
            self._tracer.write(record, look.parent)
        if self._log is not None and look.is_logged:
            self._log.write(record)
        elif self._log is not None and failure is not None:
            self._log.write_failure(record)


def _noting(handler: UnaryHandler) -> UnaryHandler:
    async def note(request: Any, context: CallContext) -> Response:
        record = CURRENT.get()
        if record is not None:
            record.note_request(request)
        return await handler(request, context)

    return note


def _how_it_ended(failure: BaseException | None, context: CallContext) -> tuple[Code, str]:
    """Code and message. A call is cancelled by its caller, or by the engine once its deadline has passed."""
    if failure is None:
        return Code.OK, ""
    if isinstance(failure, CallError):
        return failure.code, failure.message
    if isinstance(failure, asyncio.CancelledError | GeneratorExit):
        is_late = context.deadline is not None and context.deadline <= time.monotonic()
        return (Code.DEADLINE_EXCEEDED if is_late else Code.CANCELLED), ""
    return Code.INTERNAL, ""
