"""The page's own files, as they lie in `static/`: read once, and never anything but them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "static"
INDEX: Final = "index.html"
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, kw_only=True)
class StaticFile:
    """A file as it is sent; `tag` is its ETag, which changes with the content."""

    content: bytes
    content_type: str
    tag: str


def read_static_files() -> Mapping[str, StaticFile]:
    """Every file of the page, by name."""
    return {path.name: _read(path) for path in sorted(FOLDER.iterdir()) if path.suffix in _TYPES}


def _read(path: Path) -> StaticFile:
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:32]
    return StaticFile(content=content, content_type=_TYPES[path.suffix], tag=f'"{digest}"')
