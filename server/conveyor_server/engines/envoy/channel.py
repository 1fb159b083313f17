"""What the parent process and the server inside Envoy say to each other: lines of JSON over a pair of sockets.

The parent sends the settings first and then STOP, once or twice, as signals come. The server answers with reports.
"""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import json
import os
import socket
from typing import Final

# Names the inherited socket's file descriptor to the server inside.
VARIABLE: Final = "CONVEYOR_ENVOY_CHANNEL"
STOP: Final = b"stop\n"
MAX_LINE: Final = 1024 * 1024


class Stage(enum.Enum):
    """How far the server inside has come."""

    # Python runs inside Envoy.
    ALIVE = "alive"
    # It cannot start: `reason` says why.
    FAILED = "failed"
    # Its life is over in order, with `exit_code`; Envoy still runs.
    ENDED = "ended"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
    """One message from the server inside."""

    stage: Stage
    reason: str = ""
    exit_code: int = 0

    def to_line(self) -> bytes:
        """As JSON, with its newline."""
        fields = {"stage": self.stage.value, "reason": self.reason, "exit_code": self.exit_code}
        return json.dumps(fields).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Report:
        """Reads what `to_line` wrote."""
        fields = json.loads(line)
        return cls(stage=Stage(fields["stage"]), reason=fields["reason"], exit_code=fields["exit_code"])


@dataclasses.dataclass(frozen=True)
class Channel:
    """One end."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def read_line(self) -> bytes:
        """The next line; empty when the other process has gone."""
        try:
            return await self.reader.readline()
        except ConnectionError:
            return b""

    async def write_line(self, line: bytes) -> None:
        """Sends a line; does nothing when the other process has gone."""
        self.writer.write(line)
        try:
            await self.writer.drain()
        except ConnectionError:
            return


async def open_channel(end: socket.socket) -> Channel:
    """A channel over one of a pair of connected sockets, which it owns from now on."""
    reader, writer = await asyncio.open_unix_connection(sock=end, limit=MAX_LINE)
    return Channel(reader, writer)


async def open_inherited_channel() -> Channel:
    """The channel to the parent, in the process that it started."""
    return await open_channel(socket.socket(fileno=int(os.environ.pop(VARIABLE))))
