"""`mnist` and `fashion_mnist`: 60,000 training and 10,000 test images of 28x28 pixels, as four IDX files each.

The data: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits"; H. Xiao, K. Rasul, R. Vollgraf,
"Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from conveyor_contract.digests import sha256
from conveyor_trainer.data.download import Download, cache_folder, download_all
from conveyor_trainer.data.idx import find_idx, read_idx
from conveyor_trainer.data.request import DataRequest
from conveyor_trainer.data.source import Source, preprocessed
from conveyor_trainer.data.split import Split, Targets
from conveyor_trainer.errors import DataError
from conveyor_trainer.input_format import InputFormat

_TRAIN = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
_TEST = ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


@dataclass(frozen=True, kw_only=True)
class IdxSet:
    """One data set of this kind: where its files are, the hex sha256 of each, and its ten labels."""

    name: str
    url: str
    sha256: Mapping[str, str]
    packed: bool  # whether the checksums are of the .gz files or of what is inside them
    labels: tuple[str, ...]


MNIST = IdxSet(
    name="mnist",
    url="https://ossci-datasets.s3.amazonaws.com/mnist",  # the mirror that torchvision uses too
    packed=False,  # mirrors compress them differently
    sha256={
        "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
    labels=tuple(str(digit) for digit in range(10)),
)
FASHION_MNIST = IdxSet(
    name="fashion_mnist",
    url="https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",  # the authors' own
    packed=True,
    sha256={
        "train-images-idx3-ubyte": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "train-labels-idx1-ubyte": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "t10k-images-idx3-ubyte": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "t10k-labels-idx1-ubyte": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    },
    labels=(
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ),
)


def load_mnist_source(request: DataRequest) -> Source:
    """From the request's folder, or downloaded once into the user's cache where none is given."""
    return _load(MNIST, request)


def load_fashion_mnist_source(request: DataRequest) -> Source:
    """As load_mnist_source."""
    return _load(FASHION_MNIST, request)


def download_idx(idx_set: IdxSet, folder: Path) -> Path:
    """Fetches what `folder` lacks, with checksums. Raises DataError when the network or a checksum fails."""
    download_all(
        [
            Download(url=f"{idx_set.url}/{name}.gz", target=folder / f"{name}.gz", sha256=digest, packed=idx_set.packed)
            for name, digest in idx_set.sha256.items()
        ]
    )
    return folder


def _load(idx_set: IdxSet, request: DataRequest) -> Source:
    folder = request.folder or download_idx(idx_set, cache_folder() / idx_set.name)
    train, train_content = _read(folder, _TRAIN, request.input_format)
    test, test_content = _read(folder, _TEST, request.input_format)
    return Source(labels=idx_set.labels, train=train, test=test, digest=sha256(*train_content, *test_content))


def _read(folder: Path, names: tuple[str, str], wanted: InputFormat) -> tuple[Split, tuple[bytes, bytes]]:
    """A part and its files' contents. Raises DataError naming the file that is missing or damaged."""
    images_path, labels_path = (find_idx(folder, name) for name in names)
    images, images_content = read_idx(images_path, axes=3)
    labels, labels_content = read_idx(labels_path, axes=1)
    targets = _classes(images, labels, labels_path)
    return Split(rows=preprocessed(images, wanted), targets=targets), (images_content, labels_content)


def _classes(images: np.ndarray, labels: np.ndarray, path: Path) -> Targets:
    if len(images) != len(labels):
        raise DataError(f"{path} holds {len(labels)} labels for {len(images)} images: the files do not belong together")
    if len(labels) and labels.max() > 9:
        raise DataError(f"{path} holds the label {labels.max()}, but the classes are 0 to 9")
    return labels.astype(np.int64)
