"""The requests to send: built and serialised once, so that the load costs the client as little as it can."""

import io
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from conveyor.v1 import classifier_pb2, model_pb2
from conveyor_client import ConveyorClientError, Model
from conveyor_client.images import image_message

NOISE_IMAGES = 16


@dataclass(frozen=True, kw_only=True)
class Question:
    """What every request asks for."""

    model: str
    version: str
    top_k: int
    images_per_request: int


def images_from_files(paths: Sequence[Path]) -> list[classifier_pb2.Image]:
    """The files, whole, as they are. Raises InvalidImage for one that cannot be read."""
    return [image_message(path) for path in paths]


def noise_images(model: Model, encoding: Literal["raw", "png"], seed: int) -> list[classifier_pb2.Image]:
    """Images of the model's own size and colour, each pixel drawn at random: nothing to resize, nothing to compress.

    Raises ConveyorClientError for a model that takes no images.
    """
    if not model.channels:
        raise ConveyorClientError(
            f"model {model.status.name} is fed with tensors, not with images; it cannot be measured with noise"
        )
    source = random.Random(seed)  # noqa: S311 - noise, not secrets
    shape = (model.height, model.width, model.channels)
    return [
        _noise_image(source.randbytes(shape[0] * shape[1] * shape[2]), shape, encoding) for _ in range(NOISE_IMAGES)
    ]


def build_requests(images: Sequence[classifier_pb2.Image], question: Question) -> tuple[bytes, ...]:
    """One serialised request for each image to begin with; further images of a request are those that follow it."""
    return tuple(
        classifier_pb2.ClassifyRequest(
            model_name=question.model,
            model_version=question.version,
            top_k=question.top_k,
            images=[images[(first + offset) % len(images)] for offset in range(question.images_per_request)],
        ).SerializeToString()
        for first in range(len(images))
    )


def build_items(images: Sequence[classifier_pb2.Image], question: Question) -> tuple[bytes, ...]:
    """One serialised item of ClassifyStream for each image, its number still to be added."""
    return tuple(
        classifier_pb2.ClassifyStreamRequest(
            image=image, model_name=question.model, model_version=question.version, top_k=question.top_k
        ).SerializeToString()
        for image in images
    )


def _noise_image(data: bytes, shape: tuple[int, int, int], encoding: Literal["raw", "png"]) -> classifier_pb2.Image:
    height, width, channels = shape
    if encoding == "png":
        return classifier_pb2.Image(encoded=_png(data, shape))
    mode = model_pb2.COLOUR_MODE_GRAYSCALE if channels == 1 else model_pb2.COLOUR_MODE_RGB
    return classifier_pb2.Image(
        pixels=classifier_pb2.RawPixels(height=height, width=width, colour_mode=mode, data=data)
    )


def _png(data: bytes, shape: tuple[int, int, int]) -> bytes:
    # Raw pixels and files do without Pillow.
    from PIL import Image

    height, width, channels = shape
    file = io.BytesIO()
    Image.frombytes("L" if channels == 1 else "RGB", (width, height), data).save(file, format="PNG")
    return file.getvalue()
