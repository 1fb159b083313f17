"""Golden samples that are answered otherwise than at export, in files of which every digest and seal is right."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import numpy_helper

from conveyor.v1 import classifier_pb2, model_pb2
from conveyor_contract.digests import row_digest
from conveyor_contract.model_file import read_model_file, write_contract
from conveyor_contract.preprocessing import Preprocessor, encode_png
from conveyor_server import loading
from conveyor_server.batch import Rows
from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.repository import Repository
from conveyor_server.session import Session
from tests.models import tiny_contract, tiny_golden, tiny_graph
from tests.server.scripted import in_loop
from tests.server.test_repository import OPTIONS, write

SIDE, LARGE, CLASSES = 8, 24, 3


class Parts:
    """What a model's file is made of: right as it is, until a test alters one of them."""

    def __init__(self) -> None:
        noise = np.random.default_rng(7)
        weights = noise.normal(0, 0.5, (SIDE * SIDE, CLASSES)).astype(np.float32)
        preprocessor = Preprocessor(height=SIDE, width=SIDE, colour_mode=model_pb2.COLOUR_MODE_GRAYSCALE)
        # Larger than the model's input, so that resizing matters.
        images = [encode_png(image) for image in noise.integers(0, 256, (3, LARGE, LARGE, 1), dtype=np.uint8)]
        rows = np.stack([preprocessor.decode(image) for image in images])
        self.graph = tiny_graph(weights, (SIDE, SIDE, 1))
        self.contract = tiny_contract("tiny", CLASSES, preprocessor, 8)
        self.golden = tiny_golden(self.graph.SerializeToString(), weights, rows)
        for sample, image, row in zip(self.golden.samples, images, rows, strict=True):
            sample.encoded_image, sample.row_digest = image, row_digest(row)

    def write(self, root: Path) -> None:
        """As version 2 of `tiny`, sealed anew."""
        target = root / "tiny" / "2" / "model.onnx"
        target.parent.mkdir(parents=True)
        write_contract(self.graph.SerializeToString(), target, self.contract, self.golden)
        read_model_file(target).verify()

    def change(self, name: str, change: Callable[[Any], Any]) -> None:
        """Alters one of the graph's constants."""
        (tensor,) = [tensor for tensor in self.graph.graph.initializer if tensor.name == name]
        tensor.CopyFrom(numpy_helper.from_array(np.asarray(change(numpy_helper.to_array(tensor))), name))


def another_weight(parts: Parts) -> None:
    def change(weights: Rows) -> Rows:
        altered = weights.copy()
        altered[0, 0] += 0.5
        return altered

    parts.change("weights", change)


def swapped_labels(parts: Parts) -> None:
    labels = list(parts.contract.labels)
    parts.contract.labels[:] = [*labels[1:], labels[0]]


def another_normalisation(parts: Parts) -> None:
    parts.change("scale", lambda scale: np.float32(scale * 2))


def another_resize_filter(parts: Parts) -> None:
    parts.contract.preprocessing.resize.filter = model_pb2.RESIZE_FILTER_BICUBIC


@pytest.mark.parametrize(
    ("alter", "words"),
    [
        (another_weight, "the answer on CPUExecutionProvider is off by up to"),
        (swapped_labels, r"the answer is 'class \d', and it was 'class \d'"),
        (another_normalisation, "the answer on CPUExecutionProvider is off by up to"),
        (another_resize_filter, "preprocessing gives other pixels here"),
    ],
)
def test_a_version_that_answers_otherwise_than_at_export_never_serves(
    tmp_path: Path, alter: Callable[[Parts], None], words: str
) -> None:
    write(tmp_path)

    @in_loop
    async def test() -> None:
        repository = Repository(tmp_path, OPTIONS)
        await repository.load_all()
        parts = Parts()
        alter(parts)
        parts.write(tmp_path)
        repository.commit(await repository.prepare("tiny", OPTIONS))
        assert repository.served_versions() == {"tiny": [1]}
        assert re.match(f"golden sample 'noise-\\d': {words}", repository.entry("tiny", "2").reason)
        image = classifier_pb2.Image(encoded=encode_png(np.zeros((SIDE, SIDE, 1), np.uint8)))
        assert (await repository.find("tiny", "").infer([image], None)).outcome is not None
        repository.close()

    test()


def test_a_version_that_answers_as_at_export_serves(tmp_path: Path) -> None:
    Parts().write(tmp_path)

    @in_loop
    async def test() -> None:
        repository = Repository(tmp_path, OPTIONS)
        await repository.load_all()
        assert repository.served_versions() == {"tiny": [2]}
        repository.close()

    test()


@pytest.mark.parametrize("wrong", range(3))
def test_each_session_is_proved(tmp_path: Path, wrong: int, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path)
    opened: list[Session] = []

    class OneWrong(Session):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            opened.append(self)

        def run(self, rows: Rows) -> Rows:
            output = super().run(rows)
            return output[:, ::-1] if opened.index(self) == wrong else output

    monkeypatch.setattr(loading, "Session", OneWrong)

    @in_loop
    async def test() -> None:
        repository = Repository(tmp_path, replace(OPTIONS, instance_count=3))
        await repository.load_all()
        assert len(opened) == 3
        assert repository.served_versions() == {}
        assert "the answer on CPUExecutionProvider is off" in repository.entry("tiny", "1").reason
        repository.close()

    test()


def test_a_queue_shorter_than_the_proof_holds_for_callers_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path)

    @in_loop
    async def test() -> None:
        repository = Repository(tmp_path, replace(OPTIONS, max_queue_size=2))
        await repository.load_all()
        model = repository.find("tiny", "")
        assert len(model.golden.samples) > 2
        with pytest.raises(ServingError, match="over the limit of 2") as refused:
            model.batcher.admit(3)
        assert refused.value.kind is ErrorKind.INVALID_ARGUMENT
        repository.close()

    test()
    assert "refuses full requests model=tiny version=1 max_queue_size=2 max_batch_size=8" in caplog.text
