"""The one table from gRPC codes to HTTP statuses, and how a request that is not answered ends.

| code               | status |
|--------------------|--------|
| INVALID_ARGUMENT   | 400    |
| UNAUTHENTICATED    | 401    |
| PERMISSION_DENIED  | 403    |
| NOT_FOUND          | 404    |
| ALREADY_EXISTS     | 409    |
| RESOURCE_EXHAUSTED | 429    |
| CANCELLED          | 499    |
| INTERNAL           | 500    |
| UNIMPLEMENTED      | 501    |
| UNAVAILABLE        | 503    |
| DEADLINE_EXCEEDED  | 504    |

HTTP alone has: 404 and 405 for a path or method that nobody has, 408 for a body that does not come, 413 for one over
a limit, 415 for a form or an encoding that is not read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from starlette.responses import JSONResponse

from conveyor_server.calls import RETRY_KEY, CallError
from conveyor_server.errors import ServingError
from conveyor_server.http.failures import failure
from conveyor_server.statuses import CONVEYOR_CODES, Code

HTTP_STATUSES: Final[Mapping[Code, int]] = {
    Code.OK: 200,
    Code.INVALID_ARGUMENT: 400,
    Code.UNAUTHENTICATED: 401,
    Code.PERMISSION_DENIED: 403,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.CANCELLED: 499,
    Code.INTERNAL: 500,
    Code.UNIMPLEMENTED: 501,
    Code.UNAVAILABLE: 503,
    Code.DEADLINE_EXCEEDED: 504,
}
TOO_SLOW: Final = 408
TOO_LARGE: Final = 413
WRONG_FORM: Final = 415
# Milliseconds, where Retry-After knows whole seconds only.
RETRY_AFTER_MS: Final = "Conveyor-Retry-After-Ms"


class HttpError(Exception):
    """A request that is refused for what only HTTP has; `str()` is one sentence for the caller."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def failed(error: CallError | ServingError | HttpError) -> JSONResponse:
    """The answer that says why there is none."""
    if isinstance(error, HttpError):
        # What is left of the request is not read, so the connection is of no more use.
        return failure(error.status, str(error), connection="close")
    if isinstance(error, ServingError):
        error = CallError(CONVEYOR_CODES[error.kind], str(error), error.retry_after_ms)
    return failure(HTTP_STATUSES[error.code], error.message, **_headers(error))


def _headers(error: CallError) -> dict[str, str]:
    headers = {}
    if error.code is Code.UNAUTHENTICATED:
        headers["WWW-Authenticate"] = "Bearer"
    for key, value in error.trailing_metadata:
        if key == RETRY_KEY:
            headers["Retry-After"] = str(max(1, math.ceil(int(value) / 1000)))
            headers[RETRY_AFTER_MS] = value
    return headers
