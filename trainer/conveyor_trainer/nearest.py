"""What somebody may have meant by a name that does not exist."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches


def nearest(name: str, names: Collection[str]) -> str:
    """ " (did you mean 'x'?)" with the nearest of the names; nothing where none is near."""
    matches = get_close_matches(name, names, n=1, cutoff=0.4)
    return f" (did you mean {matches[0]!r}?)" if matches else ""
