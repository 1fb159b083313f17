"""Both clients against the real server."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from conveyor_bench.server_process import serving
from conveyor_client import AsyncClient, Client, InvalidImage, ModelNotFound
from conveyor_contract.preprocessing import encode_png
from tests.models import write_tiny_model

ROWS = np.random.default_rng(1).integers(0, 256, (100, 8, 8, 1), np.uint8)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_tiny_model(folder, name="tiny")
    return folder


@pytest.fixture(scope="module")
def address(repository: Path) -> Iterator[str]:
    with serving(repository) as started:
        yield started.address


@pytest.fixture(scope="module")
def labels(repository: Path) -> list[str]:
    [expected] = onnxruntime.InferenceSession(repository / "tiny/1/model.onnx").run(None, {"image": ROWS})
    return [f"class {index}" for index in expected.argmax(axis=1)]


def test_one_many_and_streams_agree_with_the_model(address: str, labels: list[str]) -> None:
    images = [encode_png(row) for row in ROWS]
    with Client(address) as client:
        assert client.classify(ROWS[0], model="tiny").label == labels[0]
        assert client.classify(images[0], model="tiny", version="1").label == labels[0]
        assert [answer.label for answer in client.classify_many(images, model="tiny")] == labels
        assert [answer.label for answer in client.stream(iter(ROWS), model="tiny")] == labels
        found = {answer.index: answer.label for answer in client.stream_unordered(images, model="tiny")}
        assert found == dict(enumerate(labels))


def test_asyncio_agrees_too(address: str, labels: list[str]) -> None:
    async def calls() -> None:
        async with AsyncClient(address) as client:
            single = await asyncio.gather(*(client.classify(row, model="tiny") for row in ROWS))
            assert [answer.label for answer in single] == labels
            assert [answer.label async for answer in client.stream(iter(ROWS), model="tiny")] == labels
            assert await client.ready()

    asyncio.run(calls())


def test_what_the_server_says_of_its_models(address: str) -> None:
    with Client(address) as client:
        assert client.ready()
        assert client.ready("tiny")
        assert not client.ready("other")
        model = client.model("tiny")
        assert (model.height, model.width, model.channels, len(model.labels)) == (8, 8, 1, 3)
        assert [(status.name, status.version, status.ready) for status in client.models()] == [("tiny", "1", True)]


def test_failures(address: str) -> None:
    with Client(address) as client:
        with pytest.raises(ModelNotFound, match="other"):
            client.classify(ROWS[0], model="other")
        with pytest.raises(InvalidImage, match="image 1: "):
            client.classify(b"no image", model="tiny")
        answers = client.classify_many([ROWS[0], b"no image", ROWS[1]], model="tiny")
        assert [answer.error is None for answer in answers] == [True, False, True]
        answers = list(client.stream([ROWS[0], b"no image", ROWS[1]], model="tiny"))
        assert [answer.error is None for answer in answers] == [True, False, True]
