"""Codes and statuses: one table, complete, and documented as it is."""

import re
from pathlib import Path

import pytest

from conveyor_server.calls import CallError
from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.http.rest import statuses
from conveyor_server.http.rest.statuses import HTTP_STATUSES, HttpError, failed
from conveyor_server.statuses import Code

DOCUMENT = Path(__file__).parents[3] / "docs" / "rest.md"


def rows(text: str) -> dict[str, int]:
    return {name: int(status) for name, status in re.findall(r"^\| ([A-Z_]+) +\| (\d+) +\|$", text, re.MULTILINE)}


def test_every_code_has_a_status() -> None:
    assert set(HTTP_STATUSES) == set(Code)
    assert len(set(HTTP_STATUSES.values())) == len(HTTP_STATUSES)


@pytest.mark.parametrize("text", [statuses.__doc__ or "", DOCUMENT.read_text()], ids=["module", "document"])
def test_the_documented_table_is_the_one_in_force(text: str) -> None:
    assert rows(text) == {code.name: status for code, status in HTTP_STATUSES.items() if code is not Code.OK}


def test_trying_again_is_told_in_seconds_and_in_milliseconds() -> None:
    answer = failed(CallError(Code.UNAVAILABLE, "full", retry_after_ms=1200))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert answer.headers["conveyor-retry-after-ms"] == "1200"


def test_who_is_not_known_is_told_how_to_be() -> None:
    assert failed(CallError(Code.UNAUTHENTICATED, "who?")).headers["www-authenticate"] == "Bearer"


def test_an_error_found_before_the_call_has_the_code_of_our_own_wire() -> None:
    answer = failed(ServingError(ErrorKind.INVALID_ARGUMENT, "no"))
    assert (answer.status_code, answer.body) == (400, b'{"error":"no"}')


def test_a_refused_body_is_not_waited_for() -> None:
    answer = failed(HttpError(413, "large"))
    assert (answer.status_code, answer.headers["connection"]) == (413, "close")
