"""What can go wrong, in words that belong to no wire: the kinds of a failed request, and a failed start.

`statuses.py` translates the kinds into codes, once for each protocol.
"""

from __future__ import annotations

import enum

from conveyor_contract.errors import ConveyorError
from conveyor_server.shortening import MAX_SENTENCE, shortened


class ErrorKind(enum.Enum):
    """Why a request was not answered."""

    INVALID_ARGUMENT = "invalid argument"
    NOT_FOUND = "not found"
    NOT_READY = "not ready"
    ALREADY_EXISTS = "already exists"
    QUEUE_FULL = "queue full"
    DEADLINE_PASSED = "deadline passed"
    STOPPING = "stopping"
    CANCELLED = "cancelled"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    TOO_OFTEN = "too often"
    UNSUPPORTED = "unsupported"
    MODEL_FAILED = "model failed"
    INTERNAL = "internal"


class ServingError(Exception):
    """A request that cannot be answered. `str()` is one sentence that may be shown to the caller.

    `retry_after_ms` (milliseconds) is given where trying again later may help.
    """

    def __init__(self, kind: ErrorKind, message: str, *, retry_after_ms: int | None = None) -> None:
        super().__init__(shortened(message, MAX_SENTENCE))
        self.kind = kind
        self.retry_after_ms = retry_after_ms


class StartError(ConveyorError):
    """The server cannot start as it was asked to."""


class ProviderError(ConveyorError):
    """The execution provider that was asked for is not the one that ONNX Runtime would use."""


class LoadError(ConveyorError):
    """A model version that cannot be served; `str()` says why."""
