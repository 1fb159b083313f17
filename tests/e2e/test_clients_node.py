"""The Node client's own tests, against the real server."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from conveyor_bench.server_process import serving
from conveyor_contract.preprocessing import encode_png
from tests.models import write_tiny_model

PACKAGE = Path(__file__).parents[2] / "clients" / "node"
IMAGES = 100


def _node_major() -> int:
    if shutil.which("node") is None or shutil.which("npm") is None:
        return 0
    found = subprocess.run(["node", "--version"], check=True, capture_output=True, text=True).stdout
    return int(found.removeprefix("v").partition(".")[0])


pytestmark = pytest.mark.skipif(_node_major() < 20, reason="the Node client needs node 20 or newer, and npm")


def _npm(*arguments: str, **variables: str) -> str:
    done = subprocess.run(
        ["npm", *arguments], check=False, cwd=PACKAGE, env={**os.environ, **variables}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module", autouse=True)
def _packages() -> None:
    """Installs exactly what the lock file says, when it says something new."""
    lock, installed = PACKAGE / "package-lock.json", PACKAGE / "node_modules" / ".package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        _npm("ci", "--no-audit", "--no-fund")


def test_the_node_clients_suite(tmp_path: Path) -> None:
    model, images = write_tiny_model(tmp_path / "models"), tmp_path / "images"
    rows = np.random.default_rng(1).integers(0, 256, (IMAGES, 8, 8, 1), np.uint8)
    images.mkdir()
    for number, row in enumerate(rows):
        (images / f"{number:03}.png").write_bytes(encode_png(row))
    [expected] = onnxruntime.InferenceSession(model).run(None, {"image": rows})
    labels = [f"class {index}" for index in expected.argmax(axis=1)]
    with serving(tmp_path / "models") as server:
        _npm(
            "test",
            CONVEYOR_ADDRESS=server.address,
            CONVEYOR_MODEL="tiny",
            CONVEYOR_IMAGES=str(images),
            CONVEYOR_LABELS=json.dumps(labels),
        )


def test_the_lock_file_names_no_registry() -> None:
    lock = json.loads((PACKAGE / "package-lock.json").read_text())
    assert not [name for name, package in lock["packages"].items() if "resolved" in package]
