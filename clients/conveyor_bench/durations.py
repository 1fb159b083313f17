"""Durations as people write them: 20ms, 1.5s, 800us."""

import re
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer

_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
_WRITTEN = re.compile(r"(\d+(?:\.\d+)?)\s*(us|ms|s)")


def parse_duration(written: object) -> object:
    """Seconds. Raises ValueError for a text without a unit; anything but text is left as it is."""
    if not isinstance(written, str):
        return written
    found = _WRITTEN.fullmatch(written.strip())
    if found is None:
        raise ValueError(f"{written!r} is no duration; write a number with its unit, such as 20ms, 1.5s or 800us")
    return float(found[1]) * _UNITS[found[2]]


# Seconds in the program, a number with a unit wherever it is written.
Duration = Annotated[
    float, BeforeValidator(parse_duration), PlainSerializer(lambda seconds: f"{seconds * 1e3:g}ms", when_used="json")
]
