"""What the parent and a worker say to each other: lines of JSON over a pair of connected sockets.

Either side may tell something, or ask and wait for the answer. Bytes travel as base64.
"""

from __future__ import annotations

import asyncio
import enum
import json
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from conveyor_server.calls import known_error
from conveyor_server.errors import ErrorKind, ServingError

# Names the inherited socket's file descriptor to a worker.
VARIABLE: Final = "CONVEYOR_WORKER_LINK"
# Bytes of one line. Neither side could read a longer one, so neither sends one: the sender gets an error.
MAX_LINE: Final = 64 * 1024 * 1024

# What a message says beside its kind; each kind's keys stand with it below.
Body = Mapping[str, Any]


class Kind(enum.Enum):
    """What a message is about."""

    # From a worker. Python runs in it.
    ALIVE = "alive"
    # It serves: the fields of Report.
    READY = "ready"
    # It cannot start: reason.
    FAILED = "failed"
    # Its life is over in order: exit_code. Its process may live on for a moment.
    ENDED = "ended"
    # Asked for by a caller. LOAD: name, config, reload. UNLOAD: name. EVERYWHERE: path, payload; answer: payload.
    # METRICS: answer: families, those of all workers.
    LOAD = "load"
    UNLOAD = "unload"
    # TRAFFIC: name, state.
    TRAFFIC = "traffic"
    EVERYWHERE = "everywhere"
    METRICS = "metrics"

    # From the parent. START: the fields of Start.
    START = "start"
    # All workers are ready.
    GO = "go"
    STOP = "stop"
    # Whether the worker still takes turns.
    PULSE = "pulse"
    # To be done at once by all. PREPARE: name, config, reload; answer: versions. COMMIT: name. ABORT: name, reason.
    PREPARE = "prepare"
    COMMIT = "commit"
    ABORT = "abort"
    # DROP: name. RUN: path, payload; answer: payload. COUNTS: answer: families, those of the one worker.
    DROP = "drop"
    RUN = "run"
    # TAKE_TRAFFIC: name, state.
    TAKE_TRAFFIC = "take traffic"
    COUNTS = "counts"

    ANSWER = "answer"


@dataclass(frozen=True, kw_only=True)
class Message:
    """One line. `number` ties an answer to its question; without one nobody waits for an answer."""

    kind: Kind
    number: int | None
    body: Body


class LinkClosedError(Exception):
    """The other process has gone."""


# Answers a question; what it returns for something merely told is dropped.
Handle = Callable[[Message], Awaitable[Body]]


class Link:
    """One end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._questions: dict[int, asyncio.Future[Body]] = {}
        self._asked = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    def tell(self, kind: Kind, **body: Any) -> None:
        """Sends; to a process that has gone, nothing. Raises ServingError for what is too long."""
        self._send(Message(kind=kind, number=None, body=body))

    async def ask(self, kind: Kind, **body: Any) -> Body:
        """Sends and waits for the answer. Raises LinkClosedError, or a ServingError: the other's, or for a long one."""
        if self._closed:
            raise LinkClosedError
        self._asked += 1
        number = self._asked
        question: asyncio.Future[Body] = asyncio.get_running_loop().create_future()
        self._questions[number] = question
        try:
            self._send(Message(kind=kind, number=number, body=body))
            return await question
        finally:
            del self._questions[number]

    async def run(self, handle: Handle) -> None:
        """Reads, and has each message handled in a task of its own, until the other process has gone."""
        try:
            while line := await self._reader.readline():
                message = _from_line(line)
                if message.kind is Kind.ANSWER:
                    self._resolve(message)
                else:
                    task = asyncio.create_task(self._answer(message, handle))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
        except ConnectionError:
            pass
        finally:
            self._closed = True
            for question in self._questions.values():
                if not question.done():
                    question.set_exception(LinkClosedError())

    @property
    def is_closed(self) -> bool:
        """Whether nothing is read any more."""
        return self._closed

    async def flush(self) -> None:
        """Waits until what was sent is with the system."""
        try:
            await self._writer.drain()
        except ConnectionError:
            return

    def close(self) -> None:
        """Ends the connection, which the other process notices."""
        self._closed = True
        self._writer.close()

    async def _answer(self, message: Message, handle: Handle) -> None:
        try:
            body = await handle(message)
        except Exception as error:
            body = {"error": _error_to_json(known_error(error))}
        if message.number is None:
            return
        try:
            self._send(Message(kind=Kind.ANSWER, number=message.number, body=body))
        except ServingError as error:
            body = {"error": _error_to_json(error)}
            self._send(Message(kind=Kind.ANSWER, number=message.number, body=body))

    def _resolve(self, answer: Message) -> None:
        question = self._questions.get(answer.number or 0)
        if question is None or question.done():
            return
        if (error := answer.body.get("error")) is None:
            question.set_result(answer.body)
        else:
            question.set_exception(_error_from_json(error))

    def _send(self, message: Message) -> None:
        if self._closed:
            return
        fields = {"kind": message.kind.value, "number": message.number, "body": message.body}
        line = json.dumps(fields).encode()
        if len(line) > MAX_LINE:
            text = f"what the server's processes have to tell each other has {len(line)} bytes, over {MAX_LINE}"
            raise ServingError(ErrorKind.INTERNAL, text)
        self._writer.write(line + b"\n")


async def open_link(end: socket.socket) -> Link:
    """A link over one of a pair of connected sockets, which it owns from now on."""
    return Link(*await asyncio.open_unix_connection(sock=end, limit=MAX_LINE))


async def open_inherited_link() -> Link:
    """The link to the parent, in the process that it started."""
    return await open_link(socket.socket(fileno=int(os.environ.pop(VARIABLE))))


def _from_line(line: bytes) -> Message:
    fields = json.loads(line)
    return Message(kind=Kind(fields["kind"]), number=fields["number"], body=fields["body"])


def _error_to_json(error: ServingError) -> Body:
    return {"kind": error.kind.value, "message": str(error), "retry_after_ms": error.retry_after_ms}


def _error_from_json(fields: Body) -> ServingError:
    return ServingError(ErrorKind(fields["kind"]), fields["message"], retry_after_ms=fields["retry_after_ms"])
