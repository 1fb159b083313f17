"""The client on the oldest grpcio and protobuf that it claims, in an environment of its own."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from conveyor_bench.server_process import serving
from conveyor_contract.preprocessing import encode_png
from tests.clients.test_with_server import ROWS
from tests.models import write_tiny_model

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-oldest" / "bin" / "python"
# The others need numpy, or the server's packages.
SUITE = ("test_client", "test_async_client", "test_stream", "test_resume", "test_connection", "test_secure")

pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason="make test-oldest-client makes its environment")

ASK = """
import asyncio, pathlib, sys
from conveyor_client import AsyncClient, Client

address, folder = sys.argv[1:]
images = sorted(pathlib.Path(folder).iterdir())
with Client(address) as client:
    many = [answer.label for answer in client.classify_many(images, model="tiny")]
    assert many == [answer.label for answer in client.stream(images, model="tiny")]
    assert client.classify(images[0], model="tiny").label == many[0]
    assert client.model("tiny").labels and client.ready("tiny")

async def ask():
    async with AsyncClient(address) as client:
        return [answer.label async for answer in client.stream(images, model="tiny")]

assert asyncio.run(ask()) == many
print(*many, sep=",")
"""


def _run(*arguments: str | Path) -> str:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'clients'}:{ROOT / 'proto'}"}
    done = subprocess.run(
        [PYTHON, *arguments], check=False, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_environment_has_the_floors_that_the_package_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    floors = {re.sub(r"[<>=~].*", "", each): each.partition(">=")[2] for each in project["dependencies"]}
    found = _run("-c", "from importlib.metadata import version as v; print(v('grpcio'), v('protobuf'))").split()
    assert dict(zip(("grpcio", "protobuf"), found, strict=True)) == floors


def test_the_clients_own_tests() -> None:
    files = [f"tests/clients/{name}.py" for name in SUITE]
    assert " passed" in _run("-m", "pytest", "-q", "-p", "no:cacheprovider", *files)


def test_it_asks_the_newest_server(tmp_path: Path) -> None:
    write_tiny_model(tmp_path / "models")
    images = tmp_path / "images"
    images.mkdir()
    for number, row in enumerate(ROWS):
        (images / f"{number:03}.png").write_bytes(encode_png(row))
    with serving(tmp_path / "models") as server:
        assert _run("-c", ASK, server.address, images).count("class ") == len(ROWS)
