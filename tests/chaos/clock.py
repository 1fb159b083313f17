"""A wall clock that can be made to jump for one server alone, by libfaketime (Debian's package of that name)."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.chaos.scene import environment

LIBRARY = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
# In the repository, where dot-files do not count.
OFFSET = ".clock"
# After which a server has seen a jump.
SECONDS = 1.5


@contextmanager
def ordinary(folder: Path) -> Iterator[None]:
    """A server with the machine's own clock."""
    yield


@contextmanager
def can_jump(folder: Path) -> Iterator[None]:
    """A server that reads how far its clock is ahead from a file; the clock for durations stays as it is."""
    set_ahead(folder, 0)
    with environment(
        LD_PRELOAD=str(LIBRARY),
        FAKETIME_TIMESTAMP_FILE=str(folder / OFFSET),
        # Seconds between two looks into the file: looking at every question for the time slows a server down.
        FAKETIME_CACHE_DURATION="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1",
    ):
        yield


def set_ahead(folder: Path, days: int) -> None:
    """From now on the clock is so many days ahead of the machine's."""
    fresh = folder / f"{OFFSET}.new"
    fresh.write_text(f"{days:+d}d\n")
    fresh.rename(folder / OFFSET)


def why_no_jump() -> str | None:
    """Why no clock can be made to jump here; None if it can."""
    return None if LIBRARY.exists() else f"{LIBRARY} is not there (Debian: apt-get install libfaketime)"
