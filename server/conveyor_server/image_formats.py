"""The formats of encoded images that a server decodes: names that people use, and Pillow's."""

from __future__ import annotations

from typing import Final

PILLOW_NAMES: Final = {"png": "PNG", "jpeg": "JPEG", "webp": "WEBP", "bmp": "BMP", "gif": "GIF", "tiff": "TIFF"}


def formats_of(text: str) -> tuple[str, ...]:
    """Pillow's names of a list as png,jpeg. Raises ValueError for an unknown one."""
    names = [name.strip().lower() for name in text.split(",")]
    for name in names:
        if name not in PILLOW_NAMES:
            raise ValueError(f"{name!r} is not one of {', '.join(PILLOW_NAMES)}")
    return tuple(PILLOW_NAMES[name] for name in dict.fromkeys(names))
