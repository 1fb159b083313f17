"""The garbage collector and what is imported: many objects, and nearly all of them stay."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

# Objects that may be made, and not freed again, before the collector looks for cycles among them. A few dozen requests
# in flight hold more than Python's own 700, and it would look at them over and over, in vain.
YOUNG_OBJECTS: Final = 20_000


@contextmanager
def collector_paused() -> Iterator[None]:
    """No collection of garbage inside: it would look through all that is there again and again, and find next to
    nothing. That is a seventh of the time that a server's imports take.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def settle_collector() -> None:
    """Spares the collector what is there for good: to be called once everything is imported, before models load."""
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, *gc.get_threshold()[1:])
