"""Where images are read, and that it makes no difference to what comes out."""

import asyncio
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from conveyor.v1 import classifier_pb2 as pb
from conveyor.v1 import model_pb2
from conveyor_contract.model_file import read_model_file
from conveyor_contract.preprocessing import Preprocessor, encode_png
from conveyor_server.errors import ServingError
from conveyor_server.images import ImageReader
from tests.models import write_tiny_model


class CountingPool(ThreadPoolExecutor):
    """A pool that counts its jobs."""

    jobs = 0

    def submit(self, *arguments, **named):  # type: ignore[no-untyped-def]  # Executor.submit's own signature
        self.jobs += 1
        return super().submit(*arguments, **named)


@pytest.fixture
def contract(tmp_path: Path) -> model_pb2.ModelContract:
    contract = read_model_file(write_tiny_model(tmp_path, height=28, width=28)).contract
    assert contract is not None
    return contract


def read(contract: model_pb2.ModelContract, images: list[pb.Image], pool: Executor) -> list[object]:
    reader = ImageReader(contract, pool, max_pixels=1_000_000)
    if reader.is_quick(images):
        return list(reader.read_here(images))
    return list(asyncio.run(reader.read_in_pool(images)))


def png(height: int, width: int, seed: int = 0) -> bytes:
    return encode_png(np.random.default_rng(seed).integers(0, 256, (height, width, 1), dtype=np.uint8))


def bmp_like(size: int) -> bytes:
    return b"BM" + bytes(size)


@pytest.mark.parametrize(
    ("images", "jobs"),
    [
        ([pb.Image(encoded=png(28, 28))], 0),
        ([pb.Image(encoded=png(28, 28, seed)) for seed in range(8)], 0),
        ([pb.Image(encoded=png(300, 300))], 1),
        ([pb.Image(encoded=png(300, 300, seed)) for seed in range(3)], 3),
        ([pb.Image(encoded=png(28, 28, seed)) for seed in range(40)], 3),
        ([pb.Image(encoded=bmp_like(50))], 1),  # a size that is not known counts as large
        (
            [
                pb.Image(
                    pixels=pb.RawPixels(
                        height=28, width=28, colour_mode=model_pb2.COLOUR_MODE_GRAYSCALE, data=bytes(784)
                    )
                )
            ]
            * 500,
            0,
        ),
        (
            [
                pb.Image(
                    pixels=pb.RawPixels(
                        height=200, width=200, colour_mode=model_pb2.COLOUR_MODE_GRAYSCALE, data=bytes(40000)
                    )
                )
            ],
            1,
        ),
    ],
)
def test_only_large_work_goes_to_the_pool(contract: model_pb2.ModelContract, images: list[pb.Image], jobs: int) -> None:
    with CountingPool(2) as pool:
        assert len(read(contract, images, pool)) == len(images)
        assert pool.jobs == jobs


def test_rows_come_in_order_wherever_they_were_read(contract: model_pb2.ModelContract) -> None:
    encoded = [png(28 if seed % 3 else 300, 28 if seed % 3 else 300, seed) for seed in range(12)]
    preprocessor = Preprocessor.from_message(contract.preprocessing)
    with CountingPool(2) as pool:
        rows = read(contract, [pb.Image(encoded=content) for content in encoded], pool)
    for row, content in zip(rows, encoded, strict=True):
        np.testing.assert_array_equal(np.asarray(row), preprocessor.decode(content))


def test_an_image_over_the_pixel_limit_is_refused_before_it_is_decoded(contract: model_pb2.ModelContract) -> None:
    with CountingPool(1) as pool:
        (error,) = read(contract, [pb.Image(encoded=png(1001, 1000))], pool)
    assert isinstance(error, ServingError)
    assert "over the limit" in str(error)
