"""The table of errors: complete, as documented, and in the sentences that this wire's clients know."""

import re

import pytest

from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.inference import codes
from conveyor_server.inference.codes import INFERENCE_CODES, in_protocol_words

ROW = re.compile(r"^\| ([A-Z_]+) +\| ([A-Z_]+) +\| (.*?) +\|$", re.MULTILINE)


def test_the_documented_table_is_the_one_in_force() -> None:
    assert codes.__doc__ is not None
    documented = {kind: code for kind, code, _ in ROW.findall(codes.__doc__)}
    assert documented == {kind.name: code.name for kind, code in INFERENCE_CODES.items()}
    assert documented.keys() == {kind.name for kind in ErrorKind}


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (ErrorKind.INVALID_ARGUMENT, "[request id: seven] detail"),
        (ErrorKind.QUEUE_FULL, "[request id: seven] Exceeds maximum queue size"),
        (ErrorKind.DEADLINE_PASSED, "Request timeout expired"),
        (
            ErrorKind.STOPPING,
            "[request id: seven] Server is stopping, scheduler for model has stopped accepting new inference requests",
        ),
        (ErrorKind.NOT_FOUND, "detail"),
        (ErrorKind.MODEL_FAILED, "detail"),
        (ErrorKind.UNSUPPORTED, "detail"),
    ],
)
def test_errors_are_said_in_the_protocols_words(kind: ErrorKind, message: str) -> None:
    error = in_protocol_words(ServingError(kind, "detail", retry_after_ms=5), "seven")
    assert (error.kind, str(error), error.retry_after_ms) == (kind, message, 5)


def test_a_request_without_an_id_is_called_unknown() -> None:
    error = in_protocol_words(ServingError(ErrorKind.INVALID_ARGUMENT, "detail"), "")
    assert str(error) == "[request id: <id_unknown>] detail"
