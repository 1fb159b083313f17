"""Callers' texts in sentences: short, and never more than gRPC's headers take."""

from urllib.parse import quote

import pytest

from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.shortening import MAX_ELEMENTS, MAX_SENTENCE, MAX_TEXT, first_of, shortened

# Bytes of headers that every gRPC implementation takes.
HEADERS = 8192


def test_a_short_text_stays_as_it_is() -> None:
    assert shortened("x" * MAX_TEXT) == "x" * MAX_TEXT


def test_a_long_text_is_cut_and_says_how_long_it_is() -> None:
    assert shortened("x" * 1_000_000) == "x" * MAX_TEXT + "... (1000000 characters)"


def test_of_many_elements_the_first_are_shown() -> None:
    assert first_of([1, 2]) == "1,2"
    assert first_of(range(100)) == ",".join(map(str, range(MAX_ELEMENTS))) + ",... (100 in all)"
    assert len(first_of(["x" * 1_000_000] * 1000)) < MAX_ELEMENTS * (MAX_TEXT + 30) + 30


@pytest.mark.parametrize("letter", ["x", "\u00e9", "\U0001f600"])
def test_a_sentence_fits_into_headers_whatever_is_in_it(letter: str) -> None:
    sentence = str(ServingError(ErrorKind.NOT_FOUND, letter * 1_000_000))
    assert sentence.startswith(letter * MAX_SENTENCE)
    assert len(quote(sentence)) < HEADERS
