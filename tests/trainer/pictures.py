"""Folders of small pictures for tests: seeded noise around a brightness, in every format that `folder` reads."""

from pathlib import Path

import numpy as np
from PIL import Image

FORMATS = (".png", ".jpg", ".webp", ".bmp", ".tif", ".gif")


def write_pictures(folder: Path, count: int, *, brightness: int) -> None:
    """Pictures of several sizes, some grey; those already there stay."""
    folder.mkdir(parents=True, exist_ok=True)
    present = len(list(folder.iterdir()))
    random = np.random.default_rng(brightness)
    for number in range(present, present + count):
        shape = (int(random.integers(5, 40)), int(random.integers(5, 40)), 3)
        pixels = np.clip(random.normal(brightness, 20, shape), 0, 255).astype(np.uint8)
        image = Image.fromarray(pixels if number % 5 else pixels[..., 0])
        image.save(folder / f"{number:03}{FORMATS[number % len(FORMATS)]}")
