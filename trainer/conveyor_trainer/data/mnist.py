"""`mnist`: 60,000 training and 10,000 test images of 28x28 pixels, as the four IDX files of the original.

The data: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits".
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from conveyor_contract.digests import sha256
from conveyor_trainer.data.download import Download, cache_folder, download_all
from conveyor_trainer.data.idx import find_idx, read_idx
from conveyor_trainer.data.source import Source
from conveyor_trainer.data.split import Labels
from conveyor_trainer.errors import DataError

_URL = "https://ossci-datasets.s3.amazonaws.com/mnist"  # the mirror that torchvision uses too
_PARTS = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
# Of the unpacked files: mirrors compress them differently.
_SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


def load_mnist_source(data_dir: Path | None) -> Source:
    """From `data_dir`, or downloaded once into the user's cache where none is given."""
    return read_mnist(data_dir if data_dir is not None else download_mnist(cache_folder() / "mnist"))


def download_mnist(folder: Path, url: str = _URL) -> Path:
    """Fetches what `folder` lacks, with checksums. Raises DataError when the network or a checksum fails."""
    files = [Download(url=f"{url}/{name}.gz", target=folder / f"{name}.gz", sha256=_SHA256[name]) for name in _PARTS]
    download_all(files)
    return folder


def read_mnist(folder: Path) -> Source:
    """The four files of `folder`, plain or .gz. Raises DataError naming the file that is missing or damaged."""
    paths = [find_idx(folder, name) for name in _PARTS]
    arrays = [read_idx(path, axes=3 if "images" in path.name else 1) for path in paths]
    (images, _), (labels, _), (test_images, _), (test_labels, _) = arrays
    return Source(
        name="mnist",
        labels=tuple(str(digit) for digit in range(10)),
        images=images,
        classes=_classes(images, labels, paths[1]),
        test_images=test_images,
        test_classes=_classes(test_images, test_labels, paths[3]),
        digest=sha256(*(content for _, content in arrays)),
    )


def _classes(images: np.ndarray, labels: np.ndarray, path: Path) -> Labels:
    if len(images) != len(labels):
        raise DataError(f"{path} holds {len(labels)} labels for {len(images)} images: the files do not belong together")
    if len(labels) and labels.max() > 9:
        raise DataError(f"{path} holds the label {labels.max()}, but the digits are 0 to 9")
    return labels.astype(np.int64)
