"""Data sets: the same splits always, and clear words for files that are missing, damaged or mismatched."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from conveyor_trainer.architecture_file import find_architecture
from conveyor_trainer.data import DataRequest, DataSet, load_data_set
from conveyor_trainer.errors import DataError, UnknownNameError

INPUT_FORMAT = find_architecture("mnist_cnn").input_format
PARTS = {"train-images-idx3-ubyte": 60, "train-labels-idx1-ubyte": 60}
TEST_PARTS = {"t10k-images-idx3-ubyte": 20, "t10k-labels-idx1-ubyte": 20}


def _load(name: str, folder: Path | None = None, *, seed: int = 0, held_out: float = 0.2) -> DataSet:
    return load_data_set(
        DataRequest(name=name, folder=folder, input_format=INPUT_FORMAT, split_seed=seed, held_out=held_out)
    )


def _idx(name: str, count: int) -> bytes:
    random = np.random.default_rng(count)
    if "labels" in name:
        return b"\0\0\x08\x01" + count.to_bytes(4, "big") + (np.arange(count) % 10).astype(np.uint8).tobytes()
    head = b"\0\0\x08\x03" + count.to_bytes(4, "big") + (28).to_bytes(4, "big") * 2
    return head + random.integers(0, 256, count * 784, dtype=np.uint8).tobytes()


@pytest.fixture
def mnist_folder(tmp_path: Path) -> Path:
    for name, count in (PARTS | TEST_PARTS).items():
        (tmp_path / name).write_bytes(_idx(name, count))
    return tmp_path


def _same(one: DataSet, other: DataSet) -> bool:
    return all(np.array_equal(one.split(name).rows, other.split(name).rows) for name in ("train", "validation", "test"))


def test_digits_split_is_stable_disjoint_and_stratified() -> None:
    data = _load("digits")
    assert _same(data, _load("digits"))
    assert not _same(data, _load("digits", seed=1))
    assert len(data.train) + len(data.validation) + len(data.test) == 1797
    assert data.train.rows.shape[1:] == (28, 28, 1)
    kinds = [set(map(bytes, np.asarray(data.split(name).rows))) for name in ("train", "validation", "test")]
    assert not kinds[0] & kinds[1] | kinds[0] & kinds[2] | kinds[1] & kinds[2]
    shares = np.bincount(data.test.targets) / len(data.test)
    assert shares.min() > 0.09


def test_digits_split_never_changes() -> None:
    """A fixed figure: exported files rely on finding the same test images years later."""
    data = _load("digits")
    assert data.digest == "sha256:0b7e9c3202d7bcd255d6a19a238d3743bf5e320ba74812a6679958a017c55382"
    assert data.test.targets[:12].tolist() == [0, 2, 7, 1, 2, 7, 8, 5, 5, 4, 1, 7]
    assert len(data.test) == 359


def test_the_test_split_does_not_depend_on_what_is_held_out() -> None:
    assert np.array_equal(_load("digits", held_out=0.0).test.rows, _load("digits", held_out=0.5).test.rows)
    assert len(_load("digits", held_out=0.0).validation) == 0


def test_plain_and_gzipped_files_give_the_same_splits(mnist_folder: Path) -> None:
    plain = _load("mnist", mnist_folder)
    assert (len(plain.train), len(plain.validation), len(plain.test)) == (50, 10, 20)  # a whole number a class
    for path in list(mnist_folder.iterdir()):
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    packed = _load("mnist", mnist_folder)
    assert packed.digest == plain.digest
    assert _same(packed, plain)


def test_fashion_mnist_has_its_own_labels(mnist_folder: Path) -> None:
    data = _load("fashion_mnist", mnist_folder)
    assert data.labels[0] == "T-shirt/top"
    assert len(data.labels) == data.outputs == 10
    assert _same(data, _load("mnist", mnist_folder))


def test_unknown_data_set() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'digits'"):
        _load("digit")


def test_missing_file_is_named(mnist_folder: Path) -> None:
    (mnist_folder / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match=r"no t10k-labels-idx1-ubyte or t10k-labels-idx1-ubyte\.gz in"):
        _load("mnist", mnist_folder)


@pytest.mark.parametrize("content", [b"", b"hello there", _idx("train-images", 60)[:-1], _idx("train-labels", 60)])
def test_damaged_file_is_named(mnist_folder: Path, content: bytes) -> None:
    (mnist_folder / "train-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(DataError, match="train-images-idx3-ubyte"):
        _load("mnist", mnist_folder)


def test_truncated_gzip_is_named(mnist_folder: Path) -> None:
    path = mnist_folder / "train-images-idx3-ubyte"
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes())[:-20])
    path.unlink()
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz is truncated or damaged"):
        _load("mnist", mnist_folder)


def test_labels_of_other_images(mnist_folder: Path) -> None:
    (mnist_folder / "train-labels-idx1-ubyte").write_bytes(_idx("train-labels", 59))
    with pytest.raises(DataError, match="59 labels for 60 images"):
        _load("mnist", mnist_folder)
