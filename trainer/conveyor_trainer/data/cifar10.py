"""`cifar10`: 50,000 training and 10,000 test images of 32x32 colour pixels in ten classes, in the binary version.

The data: A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images".
"""

from __future__ import annotations

import tarfile
import zlib
from pathlib import Path

import numpy as np

from conveyor_contract.digests import sha256
from conveyor_trainer.data.download import Download, cache_folder, download_all
from conveyor_trainer.data.request import DataRequest
from conveyor_trainer.data.source import Source, preprocessed
from conveyor_trainer.data.split import Split
from conveyor_trainer.errors import DataError
from conveyor_trainer.input_format import InputFormat

ARCHIVE = "cifar-10-binary.tar.gz"
UNPACKED = "cifar-10-batches-bin"
LABELS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_URL = f"https://www.cs.toronto.edu/~kriz/{ARCHIVE}"
_SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"  # of the archive
_TRAIN = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
_TEST = ("test_batch.bin",)
_RECORD = 1 + 3 * 32 * 32  # bytes: the class, then red, green and blue, each 32 x 32


def load_cifar10_source(request: DataRequest) -> Source:
    """From the request's folder (the archive, or what is inside it), or downloaded once into the user's cache."""
    folder = request.folder or download_cifar10(cache_folder() / "cifar10")
    contents = _contents(folder)
    return Source(
        labels=LABELS,
        train=_part([contents[name] for name in _TRAIN], request.input_format),
        test=_part([contents[name] for name in _TEST], request.input_format),
        digest=sha256(*(contents[name] for name in (*_TRAIN, *_TEST))),
    )


def download_cifar10(folder: Path, url: str = _URL, sha256: str = _SHA256) -> Path:
    """Fetches the archive unless it is there. Raises DataError when the network or the checksum fails."""
    download_all([Download(url=url, target=folder / ARCHIVE, sha256=sha256, packed=True)])
    return folder


def _contents(folder: Path) -> dict[str, bytes]:
    """Each file's bytes by its name. Raises DataError naming what is missing or damaged."""
    for unpacked in (folder, folder / UNPACKED):
        if (unpacked / _TEST[0]).is_file():
            return {name: _whole(str(unpacked / name), _read(unpacked / name)) for name in (*_TRAIN, *_TEST)}
    archive = folder / ARCHIVE
    if not archive.is_file():
        raise DataError(f"there is neither {ARCHIVE} nor a folder {UNPACKED} in {folder}: check --data-dir")
    try:
        with tarfile.open(archive) as tar:
            return {name: _whole(f"{archive}: {name}", _member(tar, name)) for name in (*_TRAIN, *_TEST)}
    except (tarfile.TarError, EOFError, zlib.error, OSError, KeyError) as error:
        raise DataError(f"{archive} is truncated or damaged: {error}; get the file again") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error}") from error


def _member(tar: tarfile.TarFile, name: str) -> bytes:
    file = tar.extractfile(f"{UNPACKED}/{name}")
    if file is None:
        raise KeyError(f"{name} is not a file")
    return file.read()


def _whole(name: str, content: bytes) -> bytes:
    if not content or len(content) % _RECORD:
        raise DataError(
            f"{name} is truncated or damaged: it has {len(content)} bytes, not a multiple of {_RECORD}; get it again"
        )
    return content


def _part(contents: list[bytes], wanted: InputFormat) -> Split:
    records = np.frombuffer(b"".join(contents), dtype=np.uint8).reshape(-1, _RECORD)
    classes = records[:, 0].astype(np.int64)
    if classes.max() >= len(LABELS):
        raise DataError(f"cifar10 holds the class {classes.max()}, but its classes are 0 to {len(LABELS) - 1}")
    images = records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return Split(rows=preprocessed(np.ascontiguousarray(images), wanted), targets=classes)
