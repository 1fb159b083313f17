"""Folders in which a repository can be put on purpose: an ordinary one, and one on a disk that can be full."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

DISK_KIB = 512
FILLER = "filler"


@contextmanager
def plain() -> Iterator[Path]:
    """A folder that goes away afterwards."""
    with TemporaryDirectory(prefix="chaos-") as folder:
        yield Path(folder)


@contextmanager
def small_disk() -> Iterator[Path]:
    """A file system of DISK_KIB KiB."""
    with plain() as folder:
        options = ["mount", "-t", "tmpfs", "-o", f"size={DISK_KIB}k", "tmpfs", str(folder)]
        subprocess.run(options, check=True)
        try:
            yield folder
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def why_no_small_disk() -> str | None:
    """Why `small_disk` cannot be had here; None if it can."""
    if os.geteuid() != 0:
        return "only root mounts a disk that can be filled"
    try:
        with small_disk():
            return None
    except (OSError, subprocess.CalledProcessError) as error:
        return f"no disk that can be filled can be mounted here ({error})"


def fill(folder: Path, keep: int) -> None:
    """Leaves `keep` bytes of the disk free, rounded down to its blocks."""
    free = os.statvfs(folder)
    size = free.f_bavail * free.f_bsize - keep
    (folder / FILLER).write_bytes(bytes(size))


def empty(folder: Path) -> None:
    """Takes back what `fill` wrote."""
    (folder / FILLER).unlink()
