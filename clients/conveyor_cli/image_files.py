"""Which files a command line means: files, folders and patterns."""

import glob
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from conveyor_contract.errors import ConveyorError

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


def find_images(names: Iterable[str]) -> list[Path]:
    """The files that are meant, in the order given; folders are searched to the bottom, in order of names.

    The name - stands for those on standard input, one a line. A name that matches no file stands for itself, so that
    what reads it says what is wrong. Raises ConveyorError for a folder without images, a pattern that matches
    nothing and an empty standard input.
    """
    found: list[Path] = []
    for name in _with_listed(names):
        path = Path(name)
        if path.is_dir():
            found += _in_folder(path)
        elif not path.exists() and glob.has_magic(name):
            found += _matching(name)
        else:
            found.append(path)
    return found


def _with_listed(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        if name != "-":
            yield name
            continue
        listed = [line for line in sys.stdin.read().splitlines() if line.strip()]
        if not listed:
            raise ConveyorError("standard input names no image; expected one path a line")
        yield from listed


def _in_folder(folder: Path) -> list[Path]:
    images = sorted(
        Path(root, file)
        for root, _, files in os.walk(folder)
        for file in files
        if file.lower().endswith(SUFFIXES) and not file.startswith(".")
    )
    if not images:
        raise ConveyorError(f"{folder} holds no images ({', '.join(suffix[1:] for suffix in SUFFIXES)})")
    return images


def _matching(pattern: str) -> list[Path]:
    files = [Path(name) for name in sorted(glob.glob(pattern, recursive=True)) if Path(name).is_file()]
    if not files:
        raise ConveyorError(f"no file matches {pattern}")
    return files
