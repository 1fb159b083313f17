"""How requests become calls: one call each, or items of long streams."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from conveyor.v1 import classifier_pb2
from conveyor_bench.connections import Connections
from conveyor_bench.header_blocks import request_block
from conveyor_bench.http2 import Connection, Stream, message
from conveyor_bench.workload import CLASSIFY_STREAM, Workload

# The gRPC code's name, and the answer where there is one.
OnDone = Callable[[str, bytes], None]
_OK, _UNAVAILABLE, _LATE = "OK", "UNAVAILABLE", "DEADLINE_EXCEEDED"
# Nobody reconnects faster; without it a closed loop would spin while there is no connection.
_REFUSED_SECONDS = 0.01
_STREAM_SECONDS = 86_400.0
_CODES = {3: "INVALID_ARGUMENT", 4: _LATE, 5: "NOT_FOUND", 8: "RESOURCE_EXHAUSTED", 13: "INTERNAL", 14: _UNAVAILABLE}


class Caller(Protocol):
    """Sends requests by number."""

    def begin(self, number: int, done: OnDone) -> None:
        """Sends the request; `done` is called once, later."""

    def expire(self) -> None:
        """Gives up what has waited longer than the timeout."""


def caller_of(workload: Workload, connections: Connections) -> Caller:
    """The caller for the workload's method."""
    kind = StreamItems if workload.method == CLASSIFY_STREAM else UnaryCalls
    return kind(workload, connections)


class UnaryCalls:
    """One call a request."""

    def __init__(self, workload: Workload, connections: Connections) -> None:
        self._connections = connections
        self._timeout = workload.timeout
        self._block = request_block(connections.authority, workload.method, workload.timeout, connections.tls)
        self._bodies = [message(each) for each in workload.requests]
        # In the order of their beginning, so the first is the first to be late.
        self._under_way: dict[int, tuple[float, Connection, Stream]] = {}
        self._begun = 0

    def begin(self, number: int, done: OnDone) -> None:
        connection = self._connections.next()
        if connection is None:
            asyncio.get_running_loop().call_later(_REFUSED_SECONDS, done, _UNAVAILABLE, b"")
            return
        self._begun += 1
        key, answer = self._begun, b""

        def on_message(content: bytes) -> None:
            nonlocal answer
            answer = content

        def on_end(code: str) -> None:
            del self._under_way[key]
            done(code, answer)

        stream = connection.start(self._block, self._bodies[number], True, on_message, on_end)
        self._under_way[key] = (time.perf_counter() + self._timeout, connection, stream)

    def expire(self) -> None:
        now = time.perf_counter()
        for deadline, connection, stream in list(self._under_way.values()):
            if deadline > now:
                break
            connection.cancel(stream, _LATE)


class StreamItems:
    """Items of ClassifyStream over some streams in turn; an item is done when all before it on its stream are."""

    def __init__(self, workload: Workload, connections: Connections) -> None:
        block = request_block(connections.authority, CLASSIFY_STREAM, _STREAM_SECONDS, connections.tls)
        self._lanes = [_Lane(workload, connections, block) for _ in range(workload.streams)]
        self._begun = 0

    def begin(self, number: int, done: OnDone) -> None:
        lane = self._lanes[self._begun % len(self._lanes)]
        self._begun += 1
        lane.begin(number, done)

    def expire(self) -> None:
        for lane in self._lanes:
            lane.expire()


@dataclass
class _Items:
    """What is under way on one stream: by item, when it is late and whom to tell; and what came before its turn."""

    waiting: dict[int, tuple[float, OnDone]] = field(default_factory=dict)
    early: dict[int, tuple[str, bytes]] = field(default_factory=dict)


class _Lane:
    """One stream, opened again when it has ended."""

    def __init__(self, workload: Workload, connections: Connections, block: bytes) -> None:
        self._connections = connections
        self._block = block
        self._timeout = workload.timeout
        self._requests = workload.requests
        self._connection: Connection | None = None
        self._stream: Stream | None = None
        self._items = _Items()
        self._sent = 0

    def begin(self, number: int, done: OnDone) -> None:
        self._sent += 1
        # A field may stand anywhere in a message: the item's number follows what was serialised before.
        body = message(self._requests[number] + b"\x08" + _varint(self._sent))
        if self._stream is not None and self._connection is not None:
            self._items.waiting[self._sent] = (time.perf_counter() + self._timeout, done)
            self._connection.send(self._stream, body)
            return
        self._connection = self._connections.next()
        if self._connection is None:
            asyncio.get_running_loop().call_later(_REFUSED_SECONDS, done, _UNAVAILABLE, b"")
            return
        items = self._items = _Items(waiting={self._sent: (time.perf_counter() + self._timeout, done)})
        self._stream = self._connection.start(
            self._block, body, False, lambda content: self._take(items, content), lambda code: self._ended(items, code)
        )

    def expire(self) -> None:
        """One late item ends the stream: nothing else takes an item back."""
        if self._stream is None or self._connection is None:
            return
        deadline = next((each[0] for each in self._items.waiting.values()), float("inf"))
        if deadline < time.perf_counter():
            self._connection.cancel(self._stream, _LATE)

    def _take(self, items: _Items, content: bytes) -> None:
        response = classifier_pb2.ClassifyStreamResponse.FromString(content)
        item = response.item_id
        if item not in items.waiting or item in items.early:
            # Answered twice, or never sent: nothing that this stream says can be trusted.
            if self._stream is not None and self._connection is not None:
                self._connection.cancel(self._stream, "DATA_LOSS")
            return
        error = response.result.error
        failed = response.result.HasField("error")
        items.early[item] = (_CODES.get(error.code, "UNKNOWN") if failed else _OK, content)
        while items.waiting and (first := next(iter(items.waiting))) in items.early:
            _, done = items.waiting.pop(first)
            done(*items.early.pop(first))

    def _ended(self, items: _Items, code: str) -> None:
        self._stream = None
        for _, done in list(items.waiting.values()):
            done(_UNAVAILABLE if code == _OK else code, b"")


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value >= 128:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
