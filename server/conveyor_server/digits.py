"""Whole numbers that callers write as text."""

from __future__ import annotations

from typing import Final

# Enough for any number of 59 bits; Python refuses to read texts of thousands of digits, and takes its time before.
MAX_DIGITS: Final = 18


def number_in(text: str) -> int | None:
    """The number; None for what is not 1 to 18 plain digits."""
    if len(text) > MAX_DIGITS or not text.isascii() or not text.isdecimal():
        return None
    return int(text)
