"""Images of a request to rows of the model's input: small ones in place, larger ones in a pool of threads.

Handing work to a thread costs more than decoding a small image; decoding a large one would hold up the event loop.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Final

import numpy as np

from conveyor.v1 import classifier_pb2, model_pb2
from conveyor_contract.contract import row_shape_of
from conveyor_contract.errors import ContractError, ImageError
from conveyor_contract.golden import row_of_tensor
from conveyor_contract.preprocessing import FORMATS, Preprocessor
from conveyor_server.batch import Rows
from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.shortening import first_of, shortened

# What is decoded in place, all images of one request together: an image counts its pixels, or its bytes if more.
IN_PLACE_WORK: Final = 128 * 128

_PNG_START: Final = b"\x89PNG\r\n\x1a\n"
_PNG_SIZE: Final = slice(16, 24)
_CHANNELS: Final = {model_pb2.COLOUR_MODE_GRAYSCALE: 1, model_pb2.COLOUR_MODE_RGB: 3}

# A row, or why there is none.
RowOrError = Rows | ServingError


class ImageReader:
    """Reads images for one model; what the contract says of its input is looked up once, here."""

    def __init__(
        self,
        contract: model_pb2.ModelContract,
        pool: Executor,
        max_pixels: int,
        formats: Sequence[str] = FORMATS,
    ) -> None:
        """`formats` are Pillow's names of those that are decoded."""
        spec = contract.inputs[0]
        self._input_name = spec.name
        self._datatype = spec.datatype
        self._row_shape = row_shape_of(spec)
        self._height_and_width = self._row_shape[:2]
        self._preprocessor = (
            Preprocessor.from_message(contract.preprocessing) if contract.HasField("preprocessing") else None
        )
        self._fitting_pixels = (*self._height_and_width, contract.preprocessing.colour_mode)
        self._row_bytes = math.prod(self._row_shape)
        self._takes_pixels_as_they_are = self._preprocessor is not None and self._datatype == "UINT8"
        self._pool = pool
        self._max_pixels = max_pixels
        self._formats = formats

    def rows_of_fitting_pixels(self, images: Sequence[classifier_pb2.Image]) -> Rows | None:
        """The rows of images that are all raw pixels just as the model takes them; None for any others."""
        if not self._takes_pixels_as_they_are:
            return None
        contents = []
        for image in images:
            pixels = image.pixels
            content = pixels.data
            if (pixels.height, pixels.width, pixels.colour_mode) != self._fitting_pixels:
                return None
            if len(content) != self._row_bytes:
                return None
            contents.append(content)
        joined = contents[0] if len(contents) == 1 else b"".join(contents)
        return np.ndarray((len(contents), *self._row_shape), np.uint8, joined)

    def is_quick(self, images: Sequence[classifier_pb2.Image]) -> bool:
        """Whether the images are so small that `read_here` holds nobody up."""
        return sum(map(self._work_of, images)) <= IN_PLACE_WORK

    async def read_in_pool(self, images: Sequence[classifier_pb2.Image]) -> list[RowOrError]:
        """What `read_here` gives, from the pool's threads."""
        loop = asyncio.get_running_loop()
        jobs = [loop.run_in_executor(self._pool, self.read_here, chunk) for chunk in self._chunks(images)]
        return [row for rows in await asyncio.gather(*jobs) for row in rows]

    def _chunks(self, images: Sequence[classifier_pb2.Image]) -> list[list[classifier_pb2.Image]]:
        """Neighbours together, up to what would be read in place."""
        chunks: list[list[classifier_pb2.Image]] = []
        room = 0
        for image in images:
            work = self._work_of(image)
            if work > room or not chunks:
                chunks.append([])
                room = IN_PLACE_WORK
            chunks[-1].append(image)
            room -= work
        return chunks

    def _work_of(self, image: classifier_pb2.Image) -> int:
        kind = image.WhichOneof("content")
        if kind == "encoded":
            return _work_of_encoded(image.encoded)
        if kind == "pixels":
            pixels = image.pixels
            fits = (pixels.height, pixels.width) == self._height_and_width
            return 0 if fits else pixels.height * pixels.width
        return 0

    def read_here(self, images: Sequence[classifier_pb2.Image]) -> list[RowOrError]:
        """One row, or one error, for each image, in their order."""
        rows: list[RowOrError] = []
        for image in images:
            try:
                rows.append(self._row_of(image))
            except ServingError as error:
                rows.append(error)
            except (ImageError, ContractError) as error:
                rows.append(ServingError(ErrorKind.INVALID_ARGUMENT, str(error)))
        return rows

    def _row_of(self, image: classifier_pb2.Image) -> Rows:
        kind = image.WhichOneof("content")
        if kind is None:
            raise _invalid("an image is empty; give it as encoded, pixels or tensor")
        if kind == "tensor":
            return self._row_of_tensor(image.tensor)
        if self._preprocessor is None:
            raise _invalid(f"the model takes no images; give a tensor of {self._expected()}")
        if kind == "encoded":
            return self._preprocessor.decode(image.encoded, self._max_pixels, self._formats)
        return self._preprocessor.convert(pixels_of(image.pixels), self._max_pixels)

    def _row_of_tensor(self, tensor: model_pb2.Tensor) -> Rows:
        axes = len(self._row_shape)
        if tensor.datatype != self._datatype or tuple(tensor.shape[: axes + 1]) != self._row_shape:
            given = f"{shortened(tensor.datatype) or 'untyped'} [{first_of(tensor.shape)}]"
            raise _invalid(f"a tensor is {given}; expected {self._expected()}")
        return row_of_tensor(tensor)

    def _expected(self) -> str:
        return f"{self._datatype} {list(self._row_shape)}, one row of the model's input {self._input_name!r}"


def pixels_of(pixels: classifier_pb2.RawPixels) -> Rows:
    """Raw pixels as uint8 (height, width, channels), not copied. Raises ServingError when they are not whole."""
    channels = _CHANNELS.get(pixels.colour_mode)
    if channels is None:
        raise _invalid(f"pixels have colour mode {pixels.colour_mode}; expected 1 (grayscale) or 2 (RGB)")
    shape = (pixels.height, pixels.width, channels)
    expected = pixels.height * pixels.width * channels
    data = pixels.data
    if len(data) != expected or not expected:
        raise _invalid(f"pixels of {'x'.join(map(str, shape))} have {len(data)} bytes; expected {expected or 'some'}")
    return np.frombuffer(data, np.uint8).reshape(shape)


def _work_of_encoded(encoded: bytes) -> int:
    # Only a PNG's header says its size at a fixed place; every other format counts as large.
    if not encoded.startswith(_PNG_START) or len(encoded) < _PNG_SIZE.stop:
        return IN_PLACE_WORK + 1
    size = encoded[_PNG_SIZE]
    return max(len(encoded), int.from_bytes(size[:4]) * int.from_bytes(size[4:]))


def _invalid(message: str) -> ServingError:
    return ServingError(ErrorKind.INVALID_ARGUMENT, message)
