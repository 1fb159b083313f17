"""A version of MNIST that was taught with swapped labels is found out as a shadow and rolled back by itself."""

import gzip
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import grpc
import numpy as np
import pytest

from conveyor.v1 import admin_pb2, model_pb2
from conveyor.v1 import classifier_pb2 as pb
from conveyor.v1.classifier_pb2_grpc import ClassifierServiceStub
from conveyor_bench.server_process import conveyor_command
from conveyor_client.admin import AdminClient
from tests.server.envoy.conftest import needs
from tests.server.process import ServerProcess, running

VARIABLE = "CONVEYOR_MNIST"
# Enough to be right mostly, in less than a minute.
TRAINED = 10_000
SWAPPED = {1: 7, 7: 1, 3: 8, 8: 3}
RULE = "mnist:stable=1,shadow=2,min-agreement=0.95,min-rows=1000"
ROWS = 20
CONNECTIONS = 16
SECONDS = 60
IMAGES, LABELS = "{}-images-idx3-ubyte.gz", "{}-labels-idx1-ubyte.gz"
IMAGES_HEADER, LABELS_HEADER = 16, 8


def content(folder: Path, name: str) -> bytes:
    """Of one of the four files, plain or gzipped."""
    path = folder / name
    return gzip.decompress(path.read_bytes()) if path.exists() else (folder / name.removesuffix(".gz")).read_bytes()


def write_first(folder: Path, name: str, data: bytes, header: int, size: int) -> None:
    """The first TRAINED items of a file, each of so many bytes."""
    items = min(TRAINED, (len(data) - header) // size)
    cut = data[:4] + items.to_bytes(4, "big") + data[8 : header + items * size]
    (folder / name).write_bytes(gzip.compress(cut, 1))


def write_data(mnist: Path, target: Path, digits: dict[int, int]) -> Path:
    """MNIST's first images, these digits labelled as others in both splits."""
    target.mkdir()
    table = bytes(digits.get(digit, digit) for digit in range(256))
    for split in ("train", "t10k"):
        images, labels = content(mnist, IMAGES.format(split)), content(mnist, LABELS.format(split))
        labels = labels[:LABELS_HEADER] + labels[LABELS_HEADER:].translate(table)
        write_first(target, IMAGES.format(split), images, IMAGES_HEADER, 28 * 28)
        write_first(target, LABELS.format(split), labels, LABELS_HEADER, 1)
    return target


@pytest.fixture(scope="module")
def mnist() -> Path:
    """The folder of MNIST's own files."""
    folder = os.environ.get(VARIABLE)
    if not folder:
        pytest.skip(f"needs MNIST: set {VARIABLE} to the folder of its four IDX files")
    return Path(folder)


@pytest.fixture(scope="module")
def models(mnist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version 1 as it should be, version 2 of swapped labels, each trained, proved and exported by the commands."""
    root = tmp_path_factory.mktemp("mnist")
    for name, digits in (("plain", {}), ("swapped", SWAPPED)):
        data = write_data(mnist, root / f"{name}-data", digits)
        command = conveyor_command(
            *("train", "mnist_cnn", "--data", "mnist", "--data-dir", data, "--epochs", "1", "--run", root / name),
            *("--no-pictures", "--no-events", "--export", root / "models", "--name", "mnist"),
        )
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        shutil.rmtree(data)
    return root / "models"


def request(rows: np.ndarray) -> pb.ClassifyRequest:
    tensors = [model_pb2.Tensor(datatype="UINT8", shape=(28, 28, 1), data=row.tobytes()) for row in rows]
    return pb.ClassifyRequest(model_name="mnist", images=[pb.Image(tensor=tensor) for tensor in tensors])


def ask(server: ServerProcess, images: np.ndarray, digits: bytes) -> tuple[Counter[str], float]:
    """Which versions answered all the images, and the share that was right, over so many connections."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.insecure_channel(server.address, options) for _ in range(CONNECTIONS)]
    stubs = [ClassifierServiceStub(channel) for channel in channels]
    versions, right = Counter[str](), 0
    for start in range(0, len(images), ROWS):
        answer = stubs[start // ROWS % CONNECTIONS].Classify(request(images[start : start + ROWS]), timeout=SECONDS)
        versions[answer.model_version] += len(answer.results)
        said = [each.answer.predictions[0].label for each in answer.results]
        right += sum(label == str(digit) for label, digit in zip(said, digits[start : start + ROWS], strict=True))
    for channel in channels:
        channel.close()
    return versions, right / len(images)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("engine", ["grpcio", "envoy"])
def test_swapped_labels_are_found_out(mnist: Path, models: Path, engine: str) -> None:
    needs(engine)
    pixels = np.frombuffer(content(mnist, IMAGES.format("t10k")), np.uint8, offset=IMAGES_HEADER)
    images = pixels.reshape(-1, 28, 28, 1)
    digits = content(mnist, LABELS.format("t10k"))[LABELS_HEADER:]
    flags = ("--engine", engine, "--workers", "2", "--version-policy", "all", "--traffic", RULE)
    with running(models, *flags) as server, AdminClient(server.address) as admin:
        versions, share = ask(server, images, digits)
        end = time.monotonic() + SECONDS
        while admin.traffic("mnist").rule.shadow_version:
            assert time.monotonic() < end, "it was not found out"
            time.sleep(0.1)
        last = admin.traffic("mnist").decisions[-1]
    assert versions == {"1": len(images)}, "the shadow answers nobody"
    assert share > 0.9
    assert (last.step, last.automatic, last.trial_version) == (admin_pb2.STEP_ROLLED_BACK, True, "2")
    found = re.fullmatch(r"agreement is (0\.\d+) over (\d+) rows, under the limit of 0\.95", last.reason)
    assert found, last.reason
    assert 0.4 < float(found[1]) < 0.8
    assert int(found[2]) >= 1000
    sys.stdout.write(f"{engine}: {share:.2%} right, all by version 1; version 2 rolled back: {last.reason}\n")
