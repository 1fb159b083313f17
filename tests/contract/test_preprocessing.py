"""One function turns any image into a row; every step of it is pinned here against a known answer."""

import random
from itertools import product

import numpy as np
import pytest
from PIL import Image

from conveyor.v1 import model_pb2
from conveyor_contract.errors import ContractError, ImageError
from conveyor_contract.preprocessing import Preprocessor, encode_png
from tests.contract.samples import encoded, gradient
from tests.counts import count

GREY = Preprocessor(height=28, width=28, colour_mode=model_pb2.COLOUR_MODE_GRAYSCALE)
COLOUR = Preprocessor(height=12, width=20, colour_mode=model_pb2.COLOUR_MODE_RGB)
CROPPED = Preprocessor(
    height=24,
    width=24,
    colour_mode=model_pb2.COLOUR_MODE_RGB,
    resize_mode=model_pb2.RESIZE_MODE_SHORTEST_SIDE,
    shortest_side=32,
)


def test_a_png_of_a_row_is_that_row_again() -> None:
    rng = np.random.default_rng(0)
    for preprocessor in (GREY, COLOUR):
        row = rng.integers(0, 256, preprocessor.row_shape, np.uint8)
        assert (preprocessor.decode(encode_png(row)) == row).all()


def test_pixels_that_fit_are_not_copied() -> None:
    row = np.zeros(COLOUR.row_shape, np.uint8)
    assert COLOUR.convert(row) is row


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"])
def test_every_format_is_read(file_format: str) -> None:
    row = COLOUR.decode(encoded(gradient(12, 20), file_format))
    assert row.shape == (12, 20, 3)
    expected = np.asarray(gradient(12, 20)).astype(int)
    assert np.abs(row.astype(int) - expected).mean() < 20  # JPEG, WebP and GIF lose a little


def test_a_file_and_its_pixels_give_the_same_row() -> None:
    image = gradient(50, 70)
    for preprocessor in (GREY, COLOUR, CROPPED):
        assert (preprocessor.decode(encoded(image)) == preprocessor.convert(np.asarray(image))).all()


def test_colour_becomes_grey_by_the_luma_weights() -> None:
    red = Image.new("RGB", (28, 28), (255, 0, 0))
    assert set(np.unique(GREY.decode(encoded(red)))) == {76}  # 0.299 * 255


def test_grey_becomes_three_equal_channels() -> None:
    row = COLOUR.decode(encoded(Image.new("L", (20, 12), 77)))
    assert (row == 77).all()


def test_sixteen_bits_are_scaled_and_not_clipped() -> None:
    pixels = np.linspace(0, 65535, 28 * 28).astype(np.uint16).reshape(28, 28)
    row = GREY.decode(encoded(Image.fromarray(pixels)))
    assert (row[:, :, 0] == np.round(pixels / 257)).all()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_pixels_show_the_background(mode: str) -> None:
    image = Image.new("RGBA", (20, 12), (200, 100, 50, 0))
    options: dict[str, object] = {"transparency": 0} if mode == "P" else {}
    preprocessor = Preprocessor(height=12, width=20, colour_mode=model_pb2.COLOUR_MODE_RGB, background=(10, 20, 30))
    row = preprocessor.decode(encoded(image.convert(mode), "PNG", **options))
    expected = (10, 20, 30)
    assert (row == np.array(expected, np.uint8)).all()


def test_an_exif_orientation_is_applied_or_left_as_the_contract_says() -> None:
    image = gradient(12, 20)
    exif = Image.Exif()
    for orientation in range(1, 9):
        exif[0x0112] = orientation
        data = encoded(image, "PNG", exif=exif)
        turned = Preprocessor(
            height=20 if orientation > 4 else 12,
            width=12 if orientation > 4 else 20,
            colour_mode=model_pb2.COLOUR_MODE_RGB,
        )
        upright = np.asarray(image)
        expected = {
            1: upright,
            2: upright[:, ::-1],
            3: upright[::-1, ::-1],
            4: upright[::-1],
            5: upright.swapaxes(0, 1),
            6: np.rot90(upright, -1),
            7: upright[::-1, ::-1].swapaxes(0, 1),
            8: np.rot90(upright),
        }[orientation]
        assert (turned.decode(data) == expected).all(), orientation
        as_stored = Preprocessor(
            height=12, width=20, colour_mode=model_pb2.COLOUR_MODE_RGB, apply_exif_orientation=False
        )
        assert (as_stored.decode(data) == upright).all()


def test_the_shortest_side_is_scaled_and_the_centre_cropped() -> None:
    image = Image.new("RGB", (64, 32), (255, 0, 0))
    image.paste((0, 255, 0), (20, 0, 44, 32))  # the 24 columns that the crop must keep
    row = CROPPED.decode(encoded(image))
    assert row.shape == (24, 24, 3)
    assert (row == np.array((0, 255, 0), np.uint8)).all()


def test_making_smaller_averages_over_all_pixels() -> None:
    checkers = (np.indices((280, 280)).sum(axis=0) % 2 * 255).astype(np.uint8)
    row = GREY.decode(encoded(Image.fromarray(checkers)))
    assert (np.abs(row[1:-1, 1:-1].astype(int) - 127) <= 2).all()


def test_an_unreadable_image_is_named_with_what_was_expected() -> None:
    with pytest.raises(ImageError, match="cannot be read .* starting with 68 65 6c 6c 6f.*expected a whole JPEG"):
        GREY.decode(b"hello world")
    with pytest.raises(ImageError, match="empty"):
        GREY.decode(b"")
    with pytest.raises(ImageError, match="cannot be read"):
        COLOUR.decode(encoded(gradient(300, 300))[:2000])


def test_more_pixels_than_allowed_are_refused_before_they_are_decoded() -> None:
    with pytest.raises(ImageError, match="100x100 pixels, over the limit of 9999"):
        GREY.decode(encoded(gradient(100, 100)), max_pixels=9999)
    with pytest.raises(ImageError, match="over the limit"):
        CROPPED.decode(encoded(gradient(2, 2000)), max_pixels=100_000)  # thin, and huge once scaled


@pytest.mark.parametrize(("width", "height"), [(10_000, 10_000), (20_000, 10_000)])
def test_pillows_own_limit_neither_warns_nor_hides_ours(width: int, height: int) -> None:
    content = encoded(Image.new("1", (width, height)))
    with pytest.raises(ImageError, match=f"the image has {width}x{height} pixels, over the limit of 67108864; send a"):
        GREY.decode(content)
    assert GREY.decode(content, max_pixels=width * height).shape == (28, 28, 1)


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((4, 4), np.float32), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4), np.uint8), np.zeros(5, np.uint8)],
)
def test_pixels_of_a_wrong_shape_or_type_are_refused(pixels: np.ndarray) -> None:
    with pytest.raises(ImageError, match="expected|empty"):
        GREY.convert(pixels)


def test_thirty_two_bit_pixels_are_refused() -> None:
    with pytest.raises(ImageError, match="32 bits a pixel"):
        GREY.decode(encoded(Image.fromarray(np.zeros((28, 28), np.float32)), "TIFF"))


def test_damaged_images_give_a_row_or_a_clear_error() -> None:
    generator = random.Random(0)
    files = [encoded(gradient(40, 40), name) for name in ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")]
    refused = 0
    for _ in range(count("mutated images")):
        data = bytearray(generator.choice(files))
        for _ in range(generator.randrange(1, 8)):
            data[generator.randrange(len(data))] = generator.randrange(256)
        try:
            assert COLOUR.decode(bytes(data[: generator.randrange(1, len(data) + 1)])).shape == (12, 20, 3)
        except ImageError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused


def test_a_preprocessor_survives_the_message_and_its_digest_tells_every_field() -> None:
    digests = set()
    for preprocessor in (GREY, COLOUR, CROPPED):
        again = Preprocessor.from_message(preprocessor.to_message())
        assert again == preprocessor
        digests.add(again.digest())
    filters = (model_pb2.RESIZE_FILTER_NEAREST, model_pb2.RESIZE_FILTER_BICUBIC, model_pb2.RESIZE_FILTER_BOX)
    for resize_filter, exif in product(filters, (True, False)):
        digests.add(
            Preprocessor(
                height=12,
                width=20,
                colour_mode=model_pb2.COLOUR_MODE_RGB,
                resize_filter=resize_filter,
                apply_exif_orientation=exif,
            ).digest()
        )
    assert len(digests) == 9


def test_preprocessing_that_cannot_be_carried_out_is_refused() -> None:
    without_antialias = COLOUR.to_message()
    without_antialias.resize.antialias = False
    unknown = COLOUR.to_message()
    unknown.resize.filter = model_pb2.RESIZE_FILTER_UNSPECIFIED
    too_large = CROPPED.to_message()
    too_large.resize.shortest_side = 20
    for message in (without_antialias, unknown, too_large, model_pb2.Preprocessing()):
        with pytest.raises(ContractError):
            Preprocessor.from_message(message)
