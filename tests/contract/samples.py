"""Images of every colour mode and file format, made here so that each has a known content."""

import io

import numpy as np
from PIL import Image


def gradient(height: int, width: int, channels: int = 3) -> Image.Image:
    """A smooth colour gradient: every channel differs, no two neighbours are equal."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [(x * 255 // max(width - 1, 1)), (y * 255 // max(height - 1, 1)), ((x + y) * 255 // (width + height))]
    pixels = np.stack(planes[:channels], axis=-1).astype(np.uint8)
    return Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels)


def encoded(image: Image.Image, file_format: str = "PNG", **options: object) -> bytes:
    """The image as a file's bytes."""
    buffer = io.BytesIO()
    image.save(buffer, format=file_format, **options)
    return buffer.getvalue()
