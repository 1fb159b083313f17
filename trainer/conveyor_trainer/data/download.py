"""Fetches data files: with a checksum, a progress bar on a terminal, and never a half-written file at the target."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import urllib.request
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from conveyor_trainer.errors import DataError

if TYPE_CHECKING:
    from rich.progress import Progress

_CHUNK = 1 << 16  # bytes
_TIMEOUT = 30  # seconds without a byte


@dataclass(frozen=True, kw_only=True)
class Download:
    """One gzipped file: where it is, where it goes, and the hex sha256 of its unpacked content, or of the file."""

    url: str
    target: Path
    sha256: str
    packed: bool = False  # whether the sha256 is of the file as it is


def cache_folder() -> Path:
    """Where downloads are kept: $XDG_CACHE_HOME/conveyor, by default ~/.cache/conveyor."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "conveyor"


def download_all(downloads: Sequence[Download]) -> None:
    """Fetches each file that is not there yet. Raises DataError naming the address and what went wrong."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    missing = [download for download in downloads if not download.target.exists()]
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not sys.stderr.isatty()) as progress:
        for download in missing:
            _fetch(download, progress)


def _fetch(download: Download, progress: Progress) -> None:
    partial = download.target.with_name(f".{download.target.name}.{os.getpid()}")
    try:
        download.target.parent.mkdir(parents=True, exist_ok=True)
        digest = _stream(download, partial, progress)
        if digest != download.sha256:
            verb = "has" if download.packed else "unpacks to"
            raise DataError(
                f"{download.url} {verb} the sha256 {digest}, expected {download.sha256}: "
                "the file was damaged or changed"
            )
        partial.replace(download.target)
    except (OSError, zlib.error) as error:
        raise DataError(
            f"cannot fetch {download.url} into {download.target.parent}: {error}; fetch the file by other means and "
            "give its folder as --data-dir"
        ) from error
    finally:
        _discard(partial)


def _stream(download: Download, partial: Path, progress: Progress) -> str:
    digest, unpack = hashlib.sha256(), None if download.packed else zlib.decompressobj(wbits=31)
    # The address is our own constant, or a caller's explicit one.
    with urllib.request.urlopen(download.url, timeout=_TIMEOUT) as answer, partial.open("wb") as file:  # noqa: S310
        size = answer.headers.get("Content-Length")
        task = progress.add_task(download.target.name, total=int(size) if size else None)
        while chunk := answer.read(_CHUNK):
            digest.update(unpack.decompress(chunk) if unpack else chunk)
            file.write(chunk)
            progress.advance(task, len(chunk))
    return digest.hexdigest()


def _discard(partial: Path) -> None:
    with contextlib.suppress(OSError):  # where the folder itself could not be made
        partial.unlink(missing_ok=True)
