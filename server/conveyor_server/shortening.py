"""Callers' texts where they are spoken of: in sentences, in the log, in spans. They are shown short, however long."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Final

# Characters of a caller's text that are shown.
MAX_TEXT: Final = 128
# Characters of a whole sentence. gRPC sends it in headers, which may have 8 KiB, and escapes one character in up to 12.
MAX_SENTENCE: Final = 600
# Elements of a caller's list that are shown.
MAX_ELEMENTS: Final = 16


def shortened(text: str, limit: int = MAX_TEXT) -> str:
    """The text, or its beginning and how long it is."""
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"


def first_of(elements: Sequence[object]) -> str:
    """The elements between commas, or the first of them and how many there are."""
    words = ",".join(shortened(str(element)) for element in islice(elements, MAX_ELEMENTS))
    return words if len(elements) <= MAX_ELEMENTS else f"{words},... ({len(elements)} in all)"
