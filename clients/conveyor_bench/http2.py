"""gRPC calls over HTTP/2 at a few microseconds each, for load alone: no retries, no compression, no metadata.

grpcio's client costs 150 us of CPU a call and would be what a benchmark measures. Here a request is a constant header
block and a body that were serialised before, and no answer's headers are decoded beside grpc-status: the header
table is switched off (SETTINGS_HEADER_TABLE_SIZE 0), so equal headers are equal bytes. RFC 9113 names the frames.
"""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from conveyor_bench.header_blocks import grpc_status

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE, _CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
_END_STREAM, _ACK, _END_HEADERS, _PADDED = 1, 1, 4, 8
_SETTING_TABLE_SIZE, _SETTING_MAX_STREAMS, _SETTING_WINDOW, _SETTING_MAX_FRAME = 1, 3, 4, 5
_CANCEL = 8
_RESETS = {7: "UNAVAILABLE", 8: "CANCELLED", 11: "RESOURCE_EXHAUSTED"}  # REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM
_FRAME = struct.Struct(">HBBBI")  # length (16 + 8 bits), type, flags, stream
_MESSAGE = struct.Struct(">BI")  # gRPC's prefix of a message: compressed or not, length
_LARGEST_WINDOW = 2**31 - 1
_TOP_UP = 2**30  # bytes received before the peer is given more
_LAST_STREAM = 2**31 - 3

OnMessage = Callable[[bytes], None]
OnEnd = Callable[[str], None]


@dataclass(slots=True, kw_only=True)
class Stream:
    """One call: `on_message` for each message that arrives, then `on_end` once with the gRPC code's name."""

    number: int
    window: int  # bytes that the peer still takes
    on_message: OnMessage
    on_end: OnEnd
    received: int = 0
    buffer: bytes = b""
    block: bytes = b""  # header block that is still being received
    unsent: deque[tuple[bytes, bool]] = field(default_factory=deque)


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """One HTTP/2 frame."""
    length = len(payload)
    return _FRAME.pack(length >> 8, length & 0xFF, kind, flags, stream) + payload


def message(content: bytes) -> bytes:
    """A gRPC message with its prefix, ready for `Connection.send`."""
    return _MESSAGE.pack(0, len(content)) + content


class Connection(asyncio.Protocol):
    """One HTTP/2 connection; `usable` turns false when it is lost or the server asks callers to leave."""

    def __init__(self) -> None:
        self.usable = False
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self.configured: asyncio.Future[None] = self._loop.create_future()  # the server has said its limits
        self._streams: dict[int, Stream] = {}
        self._waiting: deque[tuple[bytes, bytes, Stream, bool]] = deque()
        self._next = 1
        self._window = self._initial_window = 65_535
        self._max_frame = 16_384
        self._max_streams = _LARGEST_WINDOW
        self._received = 0
        self._unread = b""
        self._out: list[bytes] = []
        self._flush_planned = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greets the server and lets it send as much as it likes."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        self.usable = True
        settings = struct.pack(">HIHI", _SETTING_TABLE_SIZE, 0, _SETTING_WINDOW, _LARGEST_WINDOW)
        more = struct.pack(">I", _LARGEST_WINDOW - 65_535)
        self._transport.write(_PREFACE + frame(_SETTINGS, 0, 0, settings) + frame(_WINDOW_UPDATE, 0, 0, more))

    def connection_lost(self, error: Exception | None) -> None:
        """Every open call ends as UNAVAILABLE."""
        self.usable = False
        if not self.configured.done():
            self.configured.set_exception(ConnectionResetError("the server closed the connection; is it a gRPC port?"))
        streams = [*self._streams.values(), *(each[2] for each in self._waiting)]
        self._streams.clear()
        self._waiting.clear()
        for stream in streams:
            stream.on_end("UNAVAILABLE")

    def close(self) -> None:
        """Closes without waiting for calls; they end as UNAVAILABLE."""
        if self._transport is not None:
            self._transport.close()

    def start(self, block: bytes, body: bytes, end: bool, on_message: OnMessage, on_end: OnEnd) -> Stream:
        """Opens a call with its header block and first messages (`message`); waits where the server limits streams."""
        stream = Stream(number=0, window=self._initial_window, on_message=on_message, on_end=on_end)
        if len(self._streams) < self._max_streams:
            self._open(block, body, stream, end)
        else:
            self._waiting.append((block, body, stream, end))
        return stream

    def send(self, stream: Stream, data: bytes, end: bool = False) -> None:
        """Sends messages on an open call, as far as the server's windows allow; the rest follows by itself."""
        size = len(data)
        if not stream.unsent and size <= min(self._window, stream.window, self._max_frame):
            self._window -= size
            stream.window -= size
            self._write(frame(_DATA, _END_STREAM if end else 0, stream.number, data))
        else:
            stream.unsent.append((data, end))
            self._send_unsent(stream)

    def cancel(self, stream: Stream, code: str) -> None:
        """Ends a call from this side; `on_end` gets the code."""
        if self._streams.pop(stream.number, None) is not None:
            self._write(frame(_RST_STREAM, 0, stream.number, struct.pack(">I", _CANCEL)))
            stream.on_end(code)
            self._open_waiting()

    def _open(self, block: bytes, body: bytes, stream: Stream, end: bool) -> None:
        stream.number, stream.window = self._next, self._initial_window
        self._next += 2
        if self._next >= _LAST_STREAM:
            self.usable = False
        self._streams[stream.number] = stream
        self._write(frame(_HEADERS, _END_HEADERS, stream.number, block))
        self.send(stream, body, end)

    def _open_waiting(self) -> None:
        while self._waiting and len(self._streams) < self._max_streams:
            self._open(*self._waiting.popleft())

    def _send_unsent(self, stream: Stream) -> None:
        while stream.unsent:
            data, end = stream.unsent.popleft()
            size = min(len(data), self._window, stream.window, self._max_frame)
            last = size == len(data)
            if size or last:
                self._window -= size
                stream.window -= size
                self._write(frame(_DATA, _END_STREAM if end and last else 0, stream.number, data[:size]))
            if not last:
                stream.unsent.appendleft((data[size:], end))
                if not size:
                    return

    def _write(self, data: bytes) -> None:
        self._out.append(data)
        if not self._flush_planned:
            self._flush_planned = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_planned = False
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(self._out))
        self._out.clear()

    def data_received(self, data: bytes) -> None:
        """Takes every whole frame; keeps what is left of the last one."""
        data = self._unread + data if self._unread else data
        place, end = 0, len(data)
        while end - place >= 9:
            high, low, kind, flags, number = _FRAME.unpack_from(data, place)
            after = place + 9 + (high << 8 | low)
            if after > end:
                break
            self._take(kind, flags, number, data[place + 9 : after])
            place = after
        self._unread = data[place:]

    def _take(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if kind in (_DATA, _HEADERS, _CONTINUATION, _RST_STREAM):
            stream = self._streams.get(number)
            if kind == _DATA:
                self._count(len(payload))
            if stream is not None:
                self._take_of_stream(stream, kind, flags, payload)
        elif kind == _WINDOW_UPDATE:
            self._widen(number, struct.unpack(">I", payload)[0])
        elif kind == _SETTINGS and not flags & _ACK:
            self._configure(payload)
        elif kind == _PING and not flags & _ACK:
            self._write(frame(_PING, _ACK, 0, payload))
        elif kind == _GOAWAY:
            self._leave(struct.unpack_from(">I", payload)[0])

    def _take_of_stream(self, stream: Stream, kind: int, flags: int, payload: bytes) -> None:
        if flags & _PADDED and kind in (_DATA, _HEADERS):
            payload = payload[1 : len(payload) - payload[0]]
        if kind == _DATA:
            self._take_messages(stream, payload)
            if flags & _END_STREAM:
                self._end(stream, "UNKNOWN")  # gRPC ends with trailers
        elif kind == _RST_STREAM:
            self._end(stream, _RESETS.get(struct.unpack(">I", payload)[0], "INTERNAL"))
        elif not flags & _END_HEADERS or kind == _CONTINUATION or stream.block:
            self._collect_block(stream, kind, flags, payload)
        elif flags & _END_STREAM:
            self._end(stream, grpc_status(payload))

    def _collect_block(self, stream: Stream, kind: int, flags: int, payload: bytes) -> None:
        """Headers in several frames. Only trailers end a call; the first byte kept says which these are."""
        if kind == _HEADERS:
            stream.block = b"\1" if flags & _END_STREAM else b"\0"
        stream.block += payload
        if flags & _END_HEADERS:
            ends, block, stream.block = stream.block[0], stream.block[1:], b""
            if ends:
                self._end(stream, grpc_status(block))

    def _take_messages(self, stream: Stream, payload: bytes) -> None:
        stream.received += len(payload)
        if stream.received >= _TOP_UP:
            self._write(frame(_WINDOW_UPDATE, 0, stream.number, struct.pack(">I", stream.received)))
            stream.received = 0
        data = stream.buffer + payload if stream.buffer else payload
        while len(data) >= 5:
            end = 5 + _MESSAGE.unpack_from(data)[1]
            if len(data) < end:
                break
            stream.on_message(data[5:end])
            data = data[end:]
        stream.buffer = data

    def _end(self, stream: Stream, code: str) -> None:
        if self._streams.pop(stream.number, None) is not None:
            stream.on_end(code)
            self._open_waiting()

    def _count(self, size: int) -> None:
        self._received += size
        if self._received >= _TOP_UP:
            self._write(frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", self._received)))
            self._received = 0

    def _widen(self, number: int, more: int) -> None:
        if number == 0:
            self._window += more
            for stream in [each for each in self._streams.values() if each.unsent]:
                self._send_unsent(stream)
        elif (found := self._streams.get(number)) is not None:
            found.window += more
            self._send_unsent(found)

    def _configure(self, payload: bytes) -> None:
        for identifier, value in struct.iter_unpack(">HI", payload):
            if identifier == _SETTING_MAX_STREAMS:
                self._max_streams = value
            elif identifier == _SETTING_MAX_FRAME:
                self._max_frame = value
            elif identifier == _SETTING_WINDOW:
                for stream in self._streams.values():
                    stream.window += value - self._initial_window
                self._initial_window = value
        self._write(frame(_SETTINGS, _ACK, 0, b""))
        if not self.configured.done():
            self.configured.set_result(None)
        self._open_waiting()
        self._widen(0, 0)

    def _leave(self, last: int) -> None:
        """The server answers streams up to `last` and no later ones."""
        self.usable = False
        refused = [stream for number, stream in self._streams.items() if number > last]
        refused += [each[2] for each in self._waiting]
        self._waiting.clear()
        for stream in refused:
            self._streams.pop(stream.number, None)
            stream.on_end("UNAVAILABLE")
