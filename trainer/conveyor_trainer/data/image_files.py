"""Reads image files: each once, in several threads, into memory where all rows fit, and names those it cannot read."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from conveyor_contract.digests import sha256
from conveyor_contract.errors import ImageError
from conveyor_contract.preprocessing import Preprocessor
from conveyor_trainer.data.file_rows import FileRows
from conveyor_trainer.errors import DataError

_MEMORY_SHARE = 0.2  # of the machine's memory, for rows; splitting them needs as much again
_NAMED = 5  # unreadable files


@dataclass(frozen=True, kw_only=True)
class ImageFile:
    """Where it is, and which part and class it belongs to."""

    path: Path
    part: str
    label: str


@dataclass(frozen=True, kw_only=True)
class ReadFiles:
    """The files that could be read: their rows, and each one's "sha256:<hex>", in the order of `files`."""

    files: tuple[ImageFile, ...]
    rows: NDArray[np.uint8] | FileRows
    digests: tuple[str, ...]
    unreadable: int


def read_image_files(
    files: Sequence[ImageFile], preprocessor: Preprocessor, *, skip_unreadable: bool, memory: int | None = None
) -> ReadFiles:
    """Reads and decodes every file once. `memory` (bytes; a share of the machine's) decides whether rows are kept.

    Raises DataError naming the files that cannot be read, unless they are to be skipped.
    """
    keep = len(files) * prod(preprocessor.row_shape) <= (_memory() if memory is None else memory)
    rows = np.empty((len(files) if keep else 0, *preprocessor.row_shape), dtype=np.uint8)
    problems: dict[int, str] = {}

    def read(index: int) -> str:
        """The file's digest, its row put in its place; an empty one when it cannot be read."""
        try:
            content = files[index].path.read_bytes()
            row = preprocessor.decode(content)
        except (OSError, ImageError) as error:
            problems[index] = str(error)
            return ""
        if keep:
            rows[index] = row
        return sha256(content)

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as threads:
        found = threads.map(read, range(len(files)))
        console = Console(stderr=True)
        digests = list(
            track(found, "reading images", total=len(files), console=console, disable=not sys.stderr.isatty())
        )
    if problems and not skip_unreadable:
        raise DataError(_unreadable([(files[index].path, problems[index]) for index in sorted(problems)]))
    good = [index for index in range(len(files)) if index not in problems]
    paths = [files[index].path for index in good]
    return ReadFiles(
        files=tuple(files[index] for index in good),
        rows=(rows[good] if problems else rows) if keep else FileRows(paths, preprocessor),
        digests=tuple(digests[index] for index in good),
        unreadable=len(problems),
    )


def _memory() -> int:
    """The bytes that rows may take: a share of the machine's memory, or of the container's if that is less."""
    sizes = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    with contextlib.suppress(OSError, ValueError):  # another system, or "max"
        sizes.append(int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return int(min(sizes) * _MEMORY_SHARE)


def _unreadable(problems: Sequence[tuple[Path, str]]) -> str:
    path, reason = problems[0]
    if len(problems) == 1:
        return f"{path} cannot be used: {reason.rstrip('.')}; mend or remove it, or leave it out with --skip-unreadable"
    named = ", ".join(str(path) for path, _ in problems[:_NAMED])
    more = f" and {len(problems) - _NAMED} more" if len(problems) > _NAMED else ""
    return (
        f"{len(problems)} files cannot be used ({named}{more}; the first: {reason.rstrip('.')}): mend or remove them, "
        "or leave them out with --skip-unreadable"
    )
