"""The training pictures that lie beside a version's file: found and served by name, and nothing else of the disk."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.shortening import shortened

# Beside model.onnx.
FOLDER: Final = "report"
MOST_PICTURES: Final = 40
MOST_BYTES: Final = 8_000_000  # of one picture
_NAME: Final = re.compile(r"\w[\w.-]{0,99}\.png", re.ASCII)
_PNG_START: Final = b"\x89PNG\r\n\x1a\n"


def picture_names(model_file: Path) -> list[str]:
    """The names of a version's pictures, sorted; none where it has no such folder."""
    folder = model_file.parent / FOLDER
    try:
        names = sorted(path.name for path in folder.iterdir() if _is_picture(path))
    except OSError:
        return []
    return names[:MOST_PICTURES]


def read_picture(model_file: Path, name: str) -> bytes:
    """One picture's bytes. Raises ServingError NOT_FOUND for whatever is not one of `picture_names`."""
    if name not in picture_names(model_file):
        raise ServingError(ErrorKind.NOT_FOUND, f"this version has no training picture {shortened(name)!r}")
    try:
        content = (model_file.parent / FOLDER / name).read_bytes()
    except OSError:
        content = b""
    if not content.startswith(_PNG_START):
        raise ServingError(ErrorKind.NOT_FOUND, f"the training picture {name!r} is not a PNG file that can be read")
    return content


def _is_picture(path: Path) -> bool:
    # A link could lead out of the folder.
    if not _NAME.fullmatch(path.name) or path.is_symlink() or not path.is_file():
        return False
    return path.stat().st_size <= MOST_BYTES
