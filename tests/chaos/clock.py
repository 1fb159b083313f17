"""A wall clock that can be made to jump for one server alone.

By libfaketime (Debian's package of that name). Envoy does not start with that; behind Envoy it is Python's clock alone.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.chaos.scene import Setting, environment

LIBRARY = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
PYTHON_CLOCK = Path(__file__).parent / "python_clock"
# In the repository, where dot-files do not count.
OFFSET = ".clock"
# After which a server has seen a jump.
SECONDS = 1.5


@contextmanager
def ordinary(folder: Path, setting: Setting) -> Iterator[None]:
    """A server with the machine's own clock."""
    yield


@contextmanager
def can_jump(folder: Path, setting: Setting) -> Iterator[None]:
    """A server that reads how far its clock is ahead from a file; the clock for durations stays as it is."""
    set_ahead(folder, 0)
    variables = _of_python if setting.engine == "envoy" else _of_all
    with environment(**variables(folder / OFFSET)):
        yield


def _of_python(offset: Path) -> dict[str, str]:
    before = os.environ.get("PYTHONPATH")
    return {
        "PYTHONPATH": os.pathsep.join(filter(None, (str(PYTHON_CLOCK), before))),
        "CHAOS_CLOCK": str(offset),
    }


def _of_all(offset: Path) -> dict[str, str]:
    return {
        "LD_PRELOAD": str(LIBRARY),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        # Seconds between two looks into the file: looking at every question for the time slows a server down.
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


def set_ahead(folder: Path, days: int) -> None:
    """From now on the clock is so many days ahead of the machine's."""
    fresh = folder / f"{OFFSET}.new"
    fresh.write_text(f"{days:+d}d\n")
    fresh.rename(folder / OFFSET)


def why_no_jump(setting: Setting) -> str | None:
    """Why no clock can be made to jump here; None if it can."""
    if setting.engine == "envoy" or LIBRARY.exists():
        return None
    return f"{LIBRARY} is not there (Debian: apt-get install libfaketime)"
