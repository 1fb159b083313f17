"""A folder of images through `conveyor classify`: the accuracy of `conveyor evaluate`, at the server's speed."""

import csv
import gzip
import io
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from conveyor_bench.server_process import conveyor_command, serving
from conveyor_contract.preprocessing import encode_png
from tests.counts import count
from tests.docs.mnist_files import write_mnist_files

# Wall times of a busy machine: what is promised is 1.5.
SLOWER_AT_MOST = 1.5
START_SECONDS = 3.0  # of two commands that have to be loaded first


def _conveyor(*arguments: str | Path) -> str:
    done = subprocess.run(conveyor_command(*arguments), check=False, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MNIST's files, a model trained on them, and the test split as PNGs named after their labels."""
    root = tmp_path_factory.mktemp("folder")
    write_mnist_files(root / "mnist", train=300, test=count("images of a classified folder"))
    data: list[str | Path] = ["--data", "mnist", "--data-dir", root / "mnist"]
    _conveyor(
        *("train", "mnist_cnn", *data, "--epochs", "1", "--run", root / "run"),
        *("--export", root / "models", "--name", "mnist"),
    )
    pictures = root / "pictures"
    pictures.mkdir()
    for number, (image, label) in enumerate(_test_split(root / "mnist")):
        (pictures / f"{number:05}-{label}.png").write_bytes(encode_png(image[:, :, None]))
    return root


def _test_split(mnist: Path) -> Iterator[tuple[np.ndarray, int]]:
    images = gzip.decompress((mnist / "t10k-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((mnist / "t10k-labels-idx1-ubyte.gz").read_bytes())
    rows = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28)
    yield from zip(rows, labels[8:], strict=True)


@pytest.mark.timeout(900)
def test_a_folder_has_the_accuracy_of_evaluate_at_the_speed_of_bench(folder: Path) -> None:
    data: list[str | Path] = ["--data", "mnist", "--data-dir", folder / "mnist"]
    evaluated = json.loads(_conveyor("evaluate", folder / "models/mnist/1/model.onnx", *data, "--json"))
    with serving(folder / "models") as server:
        at = ["--url", server.address, "--model", "mnist"]
        began = time.perf_counter()
        printed = _conveyor("classify", folder / "pictures", *at, "--format", "csv")
        seconds = time.perf_counter() - began
        bench = json.loads(_conveyor("bench", *at, "--duration", "2", "--json", "-"))
    rows = list(csv.DictReader(io.StringIO(printed)))
    right = sum(row["label"] == Path(row["image"]).stem[-1] for row in rows)
    assert len(rows) == evaluated["count"] == count("images of a classified folder")
    assert right / len(rows) == pytest.approx(evaluated["accuracy"], abs=1e-9)
    expected = len(rows) / bench["report"]["images_per_second"]
    assert seconds <= SLOWER_AT_MOST * expected + START_SECONDS, f"{seconds:.1f} s, and bench says {expected:.1f} s"


def test_images_that_no_server_takes_are_one_line_each(folder: Path) -> None:
    """No image at all, and more pixels than the server reads, beside a good one."""
    bad = folder / "bad"
    bad.mkdir()
    (bad / "text.png").write_text("no image")
    (bad / "empty.png").touch()
    (bad / "huge.png").write_bytes(encode_png(np.zeros((3000, 3000, 1), np.uint8)))
    good = next((folder / "pictures").iterdir())
    with serving(folder / "models", "--max-pixels", "1000000") as server:
        command = conveyor_command("classify", bad, good, "--url", server.address, "--model", "mnist")
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 1
    errors = done.stderr.splitlines()
    assert [Path(error.split(":")[1].split(" is ")[0].strip()).name for error in errors[:-1]] == [
        "empty.png",
        "huge.png",
        "text.png",
    ], done.stderr
    assert errors[-1] == "error: 3 of 4 images have no answer"
