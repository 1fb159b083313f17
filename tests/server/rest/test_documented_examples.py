"""Every command of docs/rest.md, run as it stands against a real server."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from conveyor_contract.preprocessing import encode_png
from tests.models import write_tiny_model
from tests.server.process import running

DOCUMENT = Path(__file__).parents[3] / "docs" / "rest.md"
BLOCKS = re.findall(r"```sh\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
# A command ends where the next begins.
COMMANDS = [command for block in BLOCKS for command in re.split(r"\n(?=curl|head)", block.strip())]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory, engine: str) -> Iterator[tuple[Path, str]]:
    """A folder with digit.png, and the address of a server that serves `digits`."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    folder = tmp_path_factory.mktemp("workspace")
    (folder / "digit.png").write_bytes(encode_png(np.zeros((8, 8, 1), np.uint8)))
    write_tiny_model(folder / "models", name="digits")
    with running(folder / "models", "--engine", engine) as server:
        yield folder, server.http_address


def test_there_are_examples_of_both_interfaces() -> None:
    assert len(COMMANDS) >= 12
    assert any("/v1/classify" in command for command in COMMANDS)
    assert any("/infer" in command for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_an_example_works(command: str, workspace: tuple[Path, str]) -> None:
    folder, address = workspace
    assert "localhost:8002" in command
    own = command.replace("localhost:8002", address).replace("curl ", "curl --fail-with-body --silent --show-error ")
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", own], check=False, cwd=folder, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    if "answer.bin" in command:
        assert b'"outputs"' in (folder / "answer.bin").read_bytes()
    else:
        assert "error" not in json.loads(done.stdout)
