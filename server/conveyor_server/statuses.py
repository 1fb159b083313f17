"""The one table from kinds of error to gRPC codes, for the `conveyor.v1` wire."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

from conveyor_server.errors import ErrorKind


class Code(enum.IntEnum):
    """gRPC's status codes, those that this server gives; an engine turns them into its library's own."""

    OK = 0
    CANCELLED = 1
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


CodeTable = Mapping[ErrorKind, Code]

CONVEYOR_CODES: Final[CodeTable] = {
    ErrorKind.INVALID_ARGUMENT: Code.INVALID_ARGUMENT,
    ErrorKind.NOT_FOUND: Code.NOT_FOUND,
    ErrorKind.NOT_READY: Code.UNAVAILABLE,
    ErrorKind.ALREADY_EXISTS: Code.ALREADY_EXISTS,
    ErrorKind.QUEUE_FULL: Code.RESOURCE_EXHAUSTED,
    ErrorKind.DEADLINE_PASSED: Code.DEADLINE_EXCEEDED,
    ErrorKind.STOPPING: Code.UNAVAILABLE,
    ErrorKind.CANCELLED: Code.CANCELLED,
    ErrorKind.UNAUTHENTICATED: Code.UNAUTHENTICATED,
    ErrorKind.FORBIDDEN: Code.PERMISSION_DENIED,
    ErrorKind.TOO_OFTEN: Code.RESOURCE_EXHAUSTED,
    ErrorKind.UNSUPPORTED: Code.UNIMPLEMENTED,
    ErrorKind.MODEL_FAILED: Code.INTERNAL,
    ErrorKind.INTERNAL: Code.INTERNAL,
}
