"""How this wire ends a call that is not answered: its codes, and the sentences that its clients know.

| kind of error     | code               | message                                                                    |
|-------------------|--------------------|----------------------------------------------------------------------------|
| INVALID_ARGUMENT  | INVALID_ARGUMENT   | what was wrong with the request                                            |
| NOT_FOUND         | NOT_FOUND          | Request for unknown model: 'm' is not found (version 9 ..., no versions)   |
| NOT_READY         | UNAVAILABLE        | Request for unknown model: 'm' version 1 is not at ready state             |
| ALREADY_EXISTS    | ALREADY_EXISTS     | shared memory region 'r' already in manager                                |
| QUEUE_FULL        | UNAVAILABLE        | Exceeds maximum queue size                                                 |
| DEADLINE_PASSED   | UNAVAILABLE        | Request timeout expired                                                    |
| STOPPING          | UNAVAILABLE        | Server is stopping, scheduler for model has stopped accepting new ...      |
| CANCELLED         | CANCELLED          |                                                                            |
| UNAUTHENTICATED   | UNAUTHENTICATED    | that a token, or a certificate, is missing or not known here               |
| FORBIDDEN         | PERMISSION_DENIED  | what is not allowed, and how it would be                                   |
| TOO_OFTEN         | RESOURCE_EXHAUSTED | how many calls a second one caller may make                                |
| UNSUPPORTED       | UNIMPLEMENTED      | what this server does not do                                               |
| MODEL_FAILED      | INTERNAL           | that the model failed; the log has the cause                               |
| INTERNAL          | INTERNAL           | the number under which the log has the cause                               |
"""

from __future__ import annotations

from typing import Final

from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.shortening import shortened
from conveyor_server.statuses import Code, CodeTable

INFERENCE_CODES: Final[CodeTable] = {
    ErrorKind.INVALID_ARGUMENT: Code.INVALID_ARGUMENT,
    ErrorKind.NOT_FOUND: Code.NOT_FOUND,
    ErrorKind.NOT_READY: Code.UNAVAILABLE,
    ErrorKind.ALREADY_EXISTS: Code.ALREADY_EXISTS,
    ErrorKind.QUEUE_FULL: Code.UNAVAILABLE,
    ErrorKind.DEADLINE_PASSED: Code.UNAVAILABLE,
    ErrorKind.STOPPING: Code.UNAVAILABLE,
    ErrorKind.CANCELLED: Code.CANCELLED,
    ErrorKind.UNAUTHENTICATED: Code.UNAUTHENTICATED,
    ErrorKind.FORBIDDEN: Code.PERMISSION_DENIED,
    ErrorKind.TOO_OFTEN: Code.RESOURCE_EXHAUSTED,
    ErrorKind.UNSUPPORTED: Code.UNIMPLEMENTED,
    ErrorKind.MODEL_FAILED: Code.INTERNAL,
    ErrorKind.INTERNAL: Code.INTERNAL,
}

_SENTENCES: Final = {
    ErrorKind.QUEUE_FULL: "Exceeds maximum queue size",
    ErrorKind.DEADLINE_PASSED: "Request timeout expired",
    ErrorKind.STOPPING: "Server is stopping, scheduler for model has stopped accepting new inference requests",
}
# Clients tell concurrent requests apart by this.
_WITH_REQUEST_ID: Final = frozenset({ErrorKind.INVALID_ARGUMENT, ErrorKind.QUEUE_FULL, ErrorKind.STOPPING})


def in_protocol_words(error: ServingError, request_id: str) -> ServingError:
    """The error of an inference request as this wire's clients know it."""
    message = _SENTENCES.get(error.kind, str(error))
    if error.kind in _WITH_REQUEST_ID:
        message = f"[request id: {shortened(request_id) or '<id_unknown>'}] {message}"
    return ServingError(error.kind, message, retry_after_ms=error.retry_after_ms)
