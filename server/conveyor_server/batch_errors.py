"""What a request is told that the batcher cannot answer."""

from __future__ import annotations

from conveyor_server.batch import PendingRequest
from conveyor_server.errors import ErrorKind, ServingError


def late(request: PendingRequest) -> ServingError:
    """Of a request whose deadline has passed."""
    waited = (request.deadline or 0.0) - request.submitted_at
    message = f"the deadline passed after {max(0.0, waited) * 1000:.0f} ms in the queue, before the model ran"
    return ServingError(ErrorKind.DEADLINE_PASSED, message)


def failed() -> ServingError:
    """Of each request in a batch that failed."""
    message = "the model failed while it ran this request's batch; the server's log has the cause"
    return ServingError(ErrorKind.MODEL_FAILED, message)


def hanging(limit: float) -> ServingError:
    """Of each request in a run that does not come back within `limit` seconds, and of who waits for such a model."""
    message = f"the model hangs: its run took longer than {limit:g} seconds (--max-run-seconds)"
    return ServingError(ErrorKind.NOT_READY, message)


def unloaded() -> ServingError:
    """Of whoever waits for a model that goes."""
    return ServingError(ErrorKind.STOPPING, "the model is being unloaded; try again")
