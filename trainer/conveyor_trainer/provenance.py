"""Where a run comes from: the versions, the machine and the revision of the code."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

from conveyor_trainer.processes import process_count

_PACKAGES = ("conveyor", "torch", "accelerate", "numpy", "pillow", "scikit-learn")


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that have a say in the weights."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, str]:
    """The processor and system that trained, and by how many processes. No host name."""
    return {
        "system": platform.system(),
        "machine": platform.machine(),
        "cpus": str(os.cpu_count() or 0),
        "processes": str(process_count()),
    }


def source_revision() -> str:
    """The git commit of this code, with "-dirty" where files differ from it; "" where it is not a checkout."""
    here = Path(__file__).resolve()
    tracked = _git("ls-files", "--error-unmatch", here.name, folder=here.parent)
    if not tracked:
        return ""
    return _git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*", folder=here.parent)


def _git(*arguments: str, folder: Path) -> str:
    try:
        answer = subprocess.run(  # fixed arguments
            ["git", "-C", str(folder), *arguments],  # noqa: S607  # whichever git the user has
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""
