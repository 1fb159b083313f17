"""Every kind of image that the client takes, and what it refuses."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conveyor.v1 import model_pb2
from conveyor_client import InvalidImage
from conveyor_client.images import image_message, image_name
from conveyor_contract.preprocessing import Preprocessor

COLOUR = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
GRAY = COLOUR[:, :, 0]


def png(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, format="PNG")
    return buffer.getvalue()


def test_a_path_bytes_and_a_file_are_sent_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(COLOUR))
    with path.open("rb") as file:
        sent = [image_message(each) for each in (path, str(path), png(COLOUR), bytearray(png(COLOUR)), file)]
        sent.append(image_message(memoryview(png(COLOUR))))
    assert {message.encoded for message in sent} == {png(COLOUR)}


@pytest.mark.parametrize(
    ("array", "mode"),
    [
        (GRAY, model_pb2.COLOUR_MODE_GRAYSCALE),
        (GRAY[:, :, None], model_pb2.COLOUR_MODE_GRAYSCALE),
        (COLOUR, model_pb2.COLOUR_MODE_RGB),
        (np.asfortranarray(COLOUR), model_pb2.COLOUR_MODE_RGB),
        (np.flip(COLOUR, 1), model_pb2.COLOUR_MODE_RGB),
    ],
)
def test_a_uint8_array_is_sent_as_pixels(array: np.ndarray, mode: model_pb2.ColourMode.ValueType) -> None:
    pixels = image_message(array).pixels
    assert (pixels.height, pixels.width, pixels.colour_mode) == (4, 5, mode)
    assert pixels.data == np.ascontiguousarray(array).tobytes()


@pytest.mark.parametrize(("dtype", "datatype"), [("<f4", "FP32"), (">f4", "FP32"), ("<i8", "INT64"), ("f2", "FP16")])
def test_an_array_of_another_type_is_sent_as_a_tensor(dtype: str, datatype: str) -> None:
    values = np.arange(6).reshape(2, 3)
    tensor = image_message(values.astype(dtype)).tensor
    assert (tensor.datatype, list(tensor.shape)) == (datatype, [2, 3])
    little_endian = np.dtype(dtype).newbyteorder("<")
    assert np.array_equal(np.frombuffer(tensor.data, little_endian).reshape(2, 3), values)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "1", "CMYK"])
def test_a_pillow_image_means_what_its_file_means(mode: str) -> None:
    image = Image.fromarray(COLOUR).convert(mode)
    file = io.BytesIO()
    image.save(file, format="TIFF" if mode == "CMYK" else "PNG")
    preprocessor = Preprocessor(height=4, width=5, colour_mode=model_pb2.COLOUR_MODE_RGB)
    message = image_message(image)
    if message.WhichOneof("content") == "pixels":
        shape = (4, 5) if mode == "L" else (4, 5, 3)
        row = preprocessor.convert(np.frombuffer(message.pixels.data, np.uint8).reshape(shape))
    else:
        row = preprocessor.decode(message.encoded)
    assert np.array_equal(row, preprocessor.decode(file.getvalue()))


def test_a_pillow_image_keeps_its_orientation() -> None:
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(COLOUR).save(file, format="PNG", exif=exif)
    preprocessor = Preprocessor(height=5, width=4, colour_mode=model_pb2.COLOUR_MODE_RGB)
    opened = image_message(Image.open(io.BytesIO(file.getvalue())))
    assert np.array_equal(preprocessor.decode(opened.encoded), preprocessor.decode(file.getvalue()))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (b"", "no bytes in it"),
        ("/absent/a.png", r"cannot read /absent/a\.png: No such file"),
        ("/", "cannot read /: Is a directory"),
        (io.StringIO("text"), "binary mode"),
        (np.zeros((2, 2, 4), np.uint8), "2 x 2 x 4 is no image"),
        (np.zeros((3,), np.uint8), "is no image"),
        (np.zeros((0, 2), np.uint8), "0 x 2 is no image"),
        (np.array(["a"]), "cannot be sent"),
        (3, "a int is no image"),
        (None, "a NoneType is no image"),
    ],
)
def test_what_is_no_image_is_refused_here(image: object, message: str) -> None:
    with pytest.raises(InvalidImage, match=message):
        image_message(image)  # type: ignore[arg-type]  # what callers without a type checker may do


def test_an_empty_file_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    with pytest.raises(InvalidImage, match=r"a\.png is empty"):
        image_message(tmp_path / "a.png")


def test_names(tmp_path: Path) -> None:
    assert image_name(tmp_path / "a.png", 0) == str(tmp_path / "a.png")
    assert image_name(b"", 4) == "image 5"
