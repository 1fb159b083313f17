"""Downloads: checked against their sha256, whole or not at all, and a clear word when they fail."""

import gzip
import hashlib
import io
import resource
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from conveyor_trainer.architecture_file import find_architecture
from conveyor_trainer.data import DataRequest, load_data_set
from conveyor_trainer.data.cifar10 import ARCHIVE, UNPACKED, download_cifar10
from conveyor_trainer.data.download import Download, download_all
from conveyor_trainer.data.idx_sets import FASHION_MNIST, MNIST, download_idx
from conveyor_trainer.errors import DataError
from tests.trainer.data.conftest import Web

CONTENT = bytes(range(256)) * 1000
CONTENT_SHA256 = hashlib.sha256(CONTENT).hexdigest()
COLOUR = find_architecture("tiny_resnet").input_format


@pytest.fixture
def packed(web: Web) -> Web:
    """With one gzipped file, data.gz."""
    (web.folder / "data.gz").write_bytes(gzip.compress(CONTENT))
    return web


def test_download(packed: Web, tmp_path: Path) -> None:
    target = tmp_path / "cache" / "data.gz"
    download_all([Download(url=f"{packed.url}/data.gz", target=target, sha256=CONTENT_SHA256)])
    assert gzip.decompress(target.read_bytes()) == CONTENT
    download_all([Download(url="http://127.0.0.1:1/", target=target, sha256="")])  # there already: nobody is asked


def test_something_else_is_refused(packed: Web, tmp_path: Path) -> None:
    target = tmp_path / "cache" / "data.gz"
    for is_packed, words in ((False, "unpacks to"), (True, "has")):
        with pytest.raises(DataError, match=f"data.gz {words} the sha256 .*: the file was damaged or changed"):
            download_all([Download(url=f"{packed.url}/data.gz", target=target, sha256="0" * 64, packed=is_packed)])
    with pytest.raises(DataError, match="cannot fetch .*404.*fetch the file by other means"):
        download_all([Download(url=f"{packed.url}/absent.gz", target=target, sha256="0" * 64)])
    with pytest.raises(DataError, match="cannot fetch .*refused"):
        download_all([Download(url="http://127.0.0.1:1/data.gz", target=target, sha256="0" * 64)])
    assert list(target.parent.iterdir()) == []


def test_a_full_disk_leaves_nothing_half_written(web: Web, tmp_path: Path) -> None:
    content = np.random.default_rng(0).bytes(200_000)
    (web.folder / "data.gz").write_bytes(gzip.compress(content))
    target = tmp_path / "cache" / "data.gz"
    wanted = Download(url=f"{web.url}/data.gz", target=target, sha256=hashlib.sha256(content).hexdigest())
    with _disk_for(100_000), pytest.raises(DataError, match="cannot fetch .* into .*cache: .*too large"):
        download_all([wanted])
    assert list(target.parent.iterdir()) == []
    download_all([wanted])
    assert target.is_file()


def test_a_cache_that_cannot_be_made(packed: Web, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    wanted = Download(url=f"{packed.url}/data.gz", target=tmp_path / "cache" / "data.gz", sha256=CONTENT_SHA256)
    with pytest.raises(DataError, match="cannot fetch .* into .*cache: .*exists"):
        download_all([wanted])


@contextmanager
def _disk_for(size: int) -> Iterator[None]:
    """No file may grow beyond `size` bytes, as on a disk that is nearly full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("idx_set", [MNIST, FASHION_MNIST])
def test_the_idx_sets_fetch_four_checked_files(web: Web, tmp_path: Path, idx_set: object) -> None:
    assert isinstance(idx_set, type(MNIST))
    digests = {}
    for name in idx_set.sha256:
        packed = gzip.compress(name.encode())
        (web.folder / f"{name}.gz").write_bytes(packed)
        digests[name] = hashlib.sha256(packed if idx_set.packed else name.encode()).hexdigest()
    cache = tmp_path / "cache"
    download_idx(replace(idx_set, url=web.url, sha256=digests), cache)
    assert {path.name for path in cache.iterdir()} == {f"{name}.gz" for name in idx_set.sha256}
    with pytest.raises(DataError, match="the file was damaged or changed"):
        download_idx(replace(idx_set, url=web.url), tmp_path / "other")


def _cifar10_archive(records: int = 20) -> bytes:
    random = np.random.default_rng(1)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name in (*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"):
            content = random.integers(0, 256, (records, 3073), dtype=np.uint8)
            content[:, 0] = np.arange(records) % 10
            content[0, 1:1025], content[0, 1025:] = 255, 0  # a red picture
            member = tarfile.TarInfo(f"{UNPACKED}/{name}")
            member.size = content.size
            tar.addfile(member, io.BytesIO(content.tobytes()))
    return buffer.getvalue()


def test_cifar10_is_fetched_and_read(web: Web, tmp_path: Path) -> None:
    archive = _cifar10_archive()
    (web.folder / ARCHIVE).write_bytes(archive)
    digest = hashlib.sha256(archive).hexdigest()
    cache = download_cifar10(tmp_path / "cache", f"{web.url}/{ARCHIVE}", digest)
    request = DataRequest(name="cifar10", folder=cache, input_format=COLOUR)
    data = load_data_set(request)
    assert (len(data.train), len(data.test)) == (100, 20)
    assert data.labels[0] == "airplane"
    assert np.array_equal(data.test.targets, np.arange(20) % 10)
    assert (np.asarray(data.test.rows)[0] == [255, 0, 0]).all()
    with tarfile.open(cache / ARCHIVE) as tar:
        tar.extractall(tmp_path / "unpacked", filter="data")
    for folder in (tmp_path / "unpacked", tmp_path / "unpacked" / UNPACKED):
        assert load_data_set(replace(request, folder=folder)).digest == data.digest


def test_damaged_cifar10_is_named(tmp_path: Path) -> None:
    request = DataRequest(name="cifar10", folder=tmp_path, input_format=COLOUR)
    with pytest.raises(DataError, match=f"neither {ARCHIVE} nor a folder {UNPACKED} in .*: check --data-dir"):
        load_data_set(request)
    (tmp_path / ARCHIVE).write_bytes(_cifar10_archive()[:-500])
    with pytest.raises(DataError, match=f"{ARCHIVE} is truncated or damaged"):
        load_data_set(request)
    (tmp_path / UNPACKED).mkdir()
    (tmp_path / UNPACKED / "test_batch.bin").write_bytes(bytes(3073))
    with pytest.raises(DataError, match=r"cannot read .*data_batch_1\.bin"):
        load_data_set(request)
    for number in range(1, 6):
        (tmp_path / UNPACKED / f"data_batch_{number}.bin").write_bytes(bytes(3000))
    with pytest.raises(DataError, match=r"data_batch_1\.bin is truncated or damaged: it has 3000 bytes"):
        load_data_set(request)
