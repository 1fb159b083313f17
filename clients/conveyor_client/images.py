"""From what a caller calls an image to the message that carries it.

numpy arrays and Pillow images are recognised when the caller has them; neither package is imported here.
"""

import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from conveyor.v1 import classifier_pb2, model_pb2
from conveyor_client.errors import InvalidImage

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image as PillowImage

    ImageLike = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | np.ndarray[Any, Any] | PillowImage

_COLOUR_MODES = {1: model_pb2.COLOUR_MODE_GRAYSCALE, 3: model_pb2.COLOUR_MODE_RGB}
# numpy's names to the Open Inference Protocol's.
_DATATYPES = {
    "float16": "FP16",
    "float32": "FP32",
    "float64": "FP64",
    "int8": "INT8",
    "int16": "INT16",
    "int32": "INT32",
    "int64": "INT64",
    "uint16": "UINT16",
    "uint32": "UINT32",
    "uint64": "UINT64",
    "bool": "BOOL",
}
_EXIF_ORIENTATION = 0x0112


def image_message(image: "ImageLike") -> classifier_pb2.Image:
    """The message for a path, bytes, a binary file object, a numpy array or a Pillow image.

    A uint8 array of H x W, H x W x 1 or H x W x 3 goes as pixels; an array of another type as a tensor, one row of
    the model's input. Raises InvalidImage for anything else, and for a file that cannot be read.
    """
    if isinstance(image, str | os.PathLike):
        return _from_path(Path(image))
    if isinstance(image, bytes | bytearray | memoryview):
        return _encoded(bytes(image))
    numpy, pillow = sys.modules.get("numpy"), sys.modules.get("PIL.Image")
    if numpy is not None and isinstance(image, numpy.ndarray):
        return _from_array(image)
    if pillow is not None and isinstance(image, pillow.Image):
        return _from_pillow(image)
    if hasattr(image, "read"):
        return _from_file(image)
    raise InvalidImage(
        f"a {type(image).__name__} is no image; give a path, bytes, a binary file, a numpy array or a Pillow image"
    )


def image_name(image: object, position: int) -> str:
    """What to call the image in a message: its path where it has one, else its position, from 1."""
    if isinstance(image, str | os.PathLike):
        return os.fspath(image)
    name = getattr(image, "name", None) or getattr(image, "filename", None)
    return name if isinstance(name, str) and name else f"image {position + 1}"


def _encoded(content: bytes) -> classifier_pb2.Image:
    if not content:
        raise InvalidImage("the image is empty: no bytes in it")
    return classifier_pb2.Image(encoded=content)


def _from_path(path: Path) -> classifier_pb2.Image:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InvalidImage(f"cannot read {path}: {error.strerror or error}") from error
    if not content:
        raise InvalidImage(f"{path} is empty; expected an image file")
    return classifier_pb2.Image(encoded=content)


def _from_file(file: Any) -> classifier_pb2.Image:
    content = file.read()
    if not isinstance(content, bytes):
        raise InvalidImage("the file object gives text; open the image in binary mode, with open(path, 'rb')")
    return _encoded(content)


def _from_array(array: "np.ndarray[Any, Any]") -> classifier_pb2.Image:
    if array.dtype.name != "uint8":
        return classifier_pb2.Image(tensor=_tensor(array))
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or channels not in _COLOUR_MODES or array.size == 0:
        shape = " x ".join(str(size) for size in array.shape)
        raise InvalidImage(f"a uint8 array of {shape} is no image; expected H x W, H x W x 1 or H x W x 3")
    return classifier_pb2.Image(pixels=_pixels(array.shape[0], array.shape[1], channels, array.tobytes()))


def _tensor(array: "np.ndarray[Any, Any]") -> model_pb2.Tensor:
    datatype = _DATATYPES.get(array.dtype.name)
    if datatype is None:
        raise InvalidImage(f"an array of {array.dtype} cannot be sent; expected uint8 pixels or numbers")
    little_endian = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return model_pb2.Tensor(datatype=datatype, shape=array.shape, data=little_endian.tobytes())


def _from_pillow(image: "PillowImage") -> classifier_pb2.Image:
    upright = image.getexif().get(_EXIF_ORIENTATION, 1) == 1
    if image.mode in ("L", "RGB") and upright and "transparency" not in image.info:
        return classifier_pb2.Image(pixels=_pixels(image.height, image.width, len(image.mode), image.tobytes()))
    # Transparency and orientation are for the server to settle, as it does for the image's own file.
    buffer = io.BytesIO()
    drawable = image if image.mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16") else image.convert("RGB")
    drawable.save(buffer, format="PNG", exif=image.getexif(), compress_level=1)
    return classifier_pb2.Image(encoded=buffer.getvalue())


def _pixels(height: int, width: int, channels: int, data: bytes) -> classifier_pb2.RawPixels:
    return classifier_pb2.RawPixels(height=height, width=width, colour_mode=_COLOUR_MODES[channels], data=data)
