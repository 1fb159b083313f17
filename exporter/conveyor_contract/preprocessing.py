"""Everything that happens to an image before the graph. The one function of training, export and serving.

An image becomes a row: uint8 pixels of shape (height, width, channels), in the order that model.proto's
Preprocessing gives: decode, turn by EXIF, convert the colour mode, resize, crop.
"""

from __future__ import annotations  # the stubs' enum types exist for the type checker only

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Each decoder is imported by name: Pillow would otherwise load all of its plug-ins at the first image.
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from conveyor.v1 import model_pb2
from conveyor_contract.digests import sha256
from conveyor_contract.errors import ContractError, ImageError

Row = NDArray[np.uint8]

FORMATS = tuple(
    plugin.format
    for plugin in (
        JpegImagePlugin.JpegImageFile,
        PngImagePlugin.PngImageFile,
        WebPImagePlugin.WebPImageFile,
        BmpImagePlugin.BmpImageFile,
        GifImagePlugin.GifImageFile,
        TiffImagePlugin.TiffImageFile,
    )
)
DEFAULT_MAX_PIXELS = 64 * 1024 * 1024

_FILTERS = {
    model_pb2.RESIZE_FILTER_NEAREST: Image.Resampling.NEAREST,
    model_pb2.RESIZE_FILTER_BILINEAR: Image.Resampling.BILINEAR,
    model_pb2.RESIZE_FILTER_BICUBIC: Image.Resampling.BICUBIC,
    model_pb2.RESIZE_FILTER_LANCZOS: Image.Resampling.LANCZOS,
    model_pb2.RESIZE_FILTER_BOX: Image.Resampling.BOX,
}
_MODES = {model_pb2.COLOUR_MODE_GRAYSCALE: "L", model_pb2.COLOUR_MODE_RGB: "RGB"}
_CHANNELS = {model_pb2.COLOUR_MODE_GRAYSCALE: 1, model_pb2.COLOUR_MODE_RGB: 3}
_MAGIC = 16  # bytes by which a decoder knows its format
_EXIF_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, kw_only=True)
class Preprocessor:
    """A contract's preprocessing, ready to run. Sizes in pixels; safe to share between threads."""

    height: int
    width: int
    colour_mode: model_pb2.ColourMode.ValueType
    apply_exif_orientation: bool = True
    background: tuple[int, int, int] = (0, 0, 0)
    resize_mode: model_pb2.ResizeMode.ValueType = model_pb2.RESIZE_MODE_STRETCH
    resize_filter: model_pb2.ResizeFilter.ValueType = model_pb2.RESIZE_FILTER_BILINEAR
    shortest_side: int = 0

    def __post_init__(self) -> None:
        if self.colour_mode not in _MODES:
            raise ContractError(
                f"preprocessing asks for colour mode {self.colour_mode}; this version knows grayscale and RGB."
            )
        if self.height < 1 or self.width < 1:
            raise ContractError(f"preprocessing asks for {self.height}x{self.width} pixels; both must be at least 1.")
        if self.resize_filter not in _FILTERS:
            raise ContractError(f"preprocessing asks for resize filter {self.resize_filter}, which is unknown.")
        self._check_resize()

    def _check_resize(self) -> None:
        if self.resize_mode == model_pb2.RESIZE_MODE_SHORTEST_SIDE:
            if self.shortest_side < max(self.height, self.width):
                raise ContractError(
                    f"preprocessing resizes the shortest side to {self.shortest_side} pixels, from which "
                    f"{self.height}x{self.width} cannot be cropped; make it at least {max(self.height, self.width)}."
                )
        elif self.resize_mode != model_pb2.RESIZE_MODE_STRETCH:
            raise ContractError(f"preprocessing asks for resize mode {self.resize_mode}, which is unknown.")

    @classmethod
    def from_message(cls, message: model_pb2.Preprocessing) -> Preprocessor:
        """Reads a contract's preprocessing. Raises ContractError for what this version cannot carry out."""
        if not message.resize.antialias and message.resize.filter != model_pb2.RESIZE_FILTER_NEAREST:
            raise ContractError("preprocessing asks to resize without antialiasing, which is not offered.")
        background = tuple(message.background) or (0, 0, 0)
        if len(background) != 3 or max(background) > 255:
            raise ContractError(f"preprocessing has background {background}; expected three values of 0 to 255.")
        return cls(
            height=message.height,
            width=message.width,
            colour_mode=message.colour_mode,
            apply_exif_orientation=message.apply_exif_orientation,
            background=background,
            resize_mode=message.resize.mode,
            resize_filter=message.resize.filter,
            shortest_side=message.resize.shortest_side,
        )

    def to_message(self, in_graph: model_pb2.InGraph | None = None) -> model_pb2.Preprocessing:
        """The message to put into a contract; in_graph says what the graph does after this."""
        return model_pb2.Preprocessing(
            height=self.height,
            width=self.width,
            colour_mode=self.colour_mode,
            apply_exif_orientation=self.apply_exif_orientation,
            background=self.background,
            resize=model_pb2.Resize(
                mode=self.resize_mode,
                filter=self.resize_filter,
                antialias=self.resize_filter != model_pb2.RESIZE_FILTER_NEAREST,
                shortest_side=self.shortest_side,
            ),
            in_graph=in_graph,
        )

    @property
    def channels(self) -> int:
        return _CHANNELS[self.colour_mode]

    @property
    def row_shape(self) -> tuple[int, int, int]:
        return (self.height, self.width, self.channels)

    def digest(self) -> str:
        """Equal for equal preprocessing, whatever the graph does afterwards."""
        return sha256(self.to_message().SerializeToString(deterministic=True))

    def decode(self, encoded: bytes, max_pixels: int = DEFAULT_MAX_PIXELS, formats: Sequence[str] = FORMATS) -> Row:
        """An image file's bytes to a row; no decoder but those of `formats` sees them.

        Raises ImageError if they are no such image or hold over max_pixels pixels.
        """
        try:
            image = _opened(encoded, formats)
            _check_pixels(image.width, image.height, max_pixels)
            image.load()
        except ImageError:
            raise
        # Pillow's decoders raise errors of a dozen types on damaged files; to the caller all mean the same.
        except Exception as error:
            raise ImageError(_unreadable(encoded, formats)) from error
        if self.apply_exif_orientation:
            image = _turned_upright(image)
        return self._fit(image, max_pixels)

    def convert(self, pixels: NDArray[np.uint8], max_pixels: int = DEFAULT_MAX_PIXELS) -> Row:
        """Decoded pixels, (h, w), (h, w, 1) or (h, w, 3), to a row: the array itself when it fits already."""
        if pixels.shape == self.row_shape and pixels.dtype == np.uint8:
            return np.ascontiguousarray(pixels)
        if pixels.dtype != np.uint8:
            raise ImageError(f"pixels have type {pixels.dtype}; expected uint8, 0 to 255.")
        if pixels.ndim == 3 and pixels.shape[2] == 1:
            pixels = pixels[:, :, 0]
        if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] != 3):
            raise ImageError(f"pixels have shape {list(pixels.shape)}; expected height x width or height x width x 3.")
        if pixels.size == 0:
            raise ImageError(f"pixels have shape {list(pixels.shape)}; the image is empty.")
        _check_pixels(pixels.shape[1], pixels.shape[0], max_pixels)
        return self._fit(Image.fromarray(np.ascontiguousarray(pixels)), max_pixels)

    def _fit(self, image: Image.Image, max_pixels: int) -> Row:
        image = _with_colour_mode(image, _MODES[self.colour_mode], self.background)
        if self.resize_mode == model_pb2.RESIZE_MODE_STRETCH:
            image = self._resized(image, self.width, self.height)
        else:
            image = self._cropped(self._scaled(image, max_pixels))
        return np.array(image, dtype=np.uint8).reshape(self.row_shape)

    def _scaled(self, image: Image.Image, max_pixels: int) -> Image.Image:
        width, height = image.size
        shortest = min(width, height)
        width = int(self.shortest_side * width / shortest)
        height = int(self.shortest_side * height / shortest)
        # A long thin image is small in the file and huge once its short side is scaled up.
        _check_pixels(width, height, max_pixels)
        return self._resized(image, width, height)

    def _cropped(self, image: Image.Image) -> Image.Image:
        left = round((image.width - self.width) / 2)
        top = round((image.height - self.height) / 2)
        return image.crop((left, top, left + self.width, top + self.height))

    def _resized(self, image: Image.Image, width: int, height: int) -> Image.Image:
        if image.size == (width, height):
            return image
        return image.resize((width, height), _FILTERS[self.resize_filter])


def encode_png(row: Row) -> bytes:
    """A row (height, width, 1 or 3), losslessly, as a PNG file's bytes."""
    image = Image.fromarray(row[:, :, 0] if row.shape[2] == 1 else row)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def _opened(encoded: bytes, formats: Sequence[str]) -> Image.Image:
    """The image with its header read. As Image.open, which yet looks at the size first: by a limit of its own, with a
    warning on stderr or an error that does not say the size."""
    for name in formats:
        create, accepts = Image.OPEN[name]
        if accepts is not None and accepts(encoded[:_MAGIC]) is True:
            return create(io.BytesIO(encoded), "")
    raise UnidentifiedImageError


def _check_pixels(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise ImageError(f"the image has {width}x{height} pixels, over the limit of {max_pixels}; send a smaller one.")


def _unreadable(encoded: bytes, formats: Sequence[str]) -> str:
    expected = " or ".join(filter(None, (", ".join(formats[:-1]), formats[-1])))
    if not encoded:
        return "the image is empty (0 bytes); expected the whole of an image file."
    return (
        f"the image cannot be read ({len(encoded)} bytes, starting with {encoded[:8].hex(' ')}); "
        f"expected a whole {expected} file."
    )


def _turned_upright(image: Image.Image) -> Image.Image:
    try:
        orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
    # The pixels are sound; a damaged EXIF block only means that no orientation is known.
    except Exception:
        return image
    turn = _TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)


def _with_colour_mode(image: Image.Image, mode: str, background: tuple[int, int, int]) -> Image.Image:
    if image.mode == mode and "transparency" not in image.info:
        return image
    if image.mode.startswith("I;16"):
        image = _eight_bits(image)
    elif image.mode in ("I", "F"):
        raise ImageError(
            f"the image has 32 bits a pixel (Pillow mode {image.mode}), whose range is not known; "
            "save it with 8 or 16 bits a channel."
        )
    if image.has_transparency_data:
        image = image.convert("RGBA")
        backdrop = Image.new("RGBA", image.size, (*background, 255))
        image = Image.alpha_composite(backdrop, image)
    return image if image.mode == mode else image.convert(mode)


def _eight_bits(image: Image.Image) -> Image.Image:
    # Pillow clips 16-bit pixels at 255 when it converts them; we scale 0..65535 to 0..255, rounding.
    pixels = np.asarray(image).astype(np.uint32)
    return Image.fromarray(((pixels * 255 + 32767) // 65535).astype(np.uint8))
