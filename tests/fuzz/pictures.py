"""Images in every format that is read, and in some that are not, and what chance makes of them."""

import io
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from tests.fuzz.messages import mutated

CORPUS = Path(__file__).parent / "corpus"
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "ICO", "TGA")


def whole_pictures() -> Sequence[bytes]:
    """Small ones in several formats and modes, and those that were kept."""
    noise = np.random.default_rng(3).integers(0, 256, (12, 10, 3), dtype=np.uint8)
    pictures = []
    for mode in ("RGB", "L", "P", "RGBA", "1", "CMYK", "I;16"):
        image = (
            Image.fromarray(noise[..., 0].astype(np.uint16)) if mode == "I;16" else Image.fromarray(noise).convert(mode)
        )
        for name in FORMATS:
            buffer = io.BytesIO()
            try:
                image.save(buffer, name)
            except (OSError, ValueError, KeyError):
                # This format has no such mode.
                continue
            pictures.append(buffer.getvalue())
    kept = [path.read_bytes() for path in sorted(CORPUS.glob("picture-*"))]
    return [*pictures, *kept]


def spoiled(choice: random.Random, pictures: Sequence[bytes]) -> bytes:
    """One of them with injuries, or two grown together."""
    picture = choice.choice(pictures)
    if choice.random() < 0.1:
        other = choice.choice(pictures)
        return picture[: choice.randrange(len(picture) + 1)] + other[choice.randrange(len(other) + 1) :]
    return mutated(choice, picture)
