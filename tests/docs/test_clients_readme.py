"""Every snippet of the clients' README, run against a real server at the address that the README names."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from conveyor_bench.server_process import conveyor_command, running
from conveyor_client import channel
from conveyor_contract.preprocessing import encode_png
from tests.models import write_tiny_model

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", (ROOT / "clients" / "README.md").read_text(), re.DOTALL)


def blocks(kind: str) -> list[str]:
    return [block for found, block in BLOCKS if found == kind]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with digit.png, while a server on port 8001 serves `digits`."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", 8001)) == 0:
            pytest.skip("something else listens on port 8001, which the README's server takes")
    folder = tmp_path_factory.mktemp("workspace")
    (folder / "digit.png").write_bytes(encode_png(np.zeros((8, 8, 1), np.uint8)))
    write_tiny_model(folder / "models", name="digits")
    with running(conveyor_command("serve", folder / "models", "--port", "8001", "--http-port", "0")):
        yield folder


def run(command: list[str], workspace: Path) -> str:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        command,
        check=False,
        cwd=workspace,
        env={**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("snippet", blocks("python"))
def test_python(snippet: str, workspace: Path) -> None:
    assert "class " in run([sys.executable, "-c", snippet], workspace)


@pytest.mark.parametrize("line", "".join(blocks("sh")).splitlines())
def test_shell(line: str, workspace: Path) -> None:
    assert "class " in run(["bash", "-c", line], workspace)


@pytest.mark.skipif(not (ROOT / "clients/node/dist").exists(), reason="the Node client has not been built")
@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.parametrize("snippet", blocks("js"))
def test_node(snippet: str, workspace: Path) -> None:
    modules = workspace / "node_modules"
    modules.mkdir(exist_ok=True)
    if not (modules / "conveyor-client").exists():
        (modules / "conveyor-client").symlink_to(ROOT / "clients/node")
    (workspace / "snippet.mjs").write_text(snippet)
    assert "class " in run(["node", "snippet.mjs"], workspace)


def test_the_service_config_for_other_languages_is_the_python_clients() -> None:
    [written] = map(json.loads, blocks("json"))
    ours = json.loads(str(dict(channel.channel_options(5))["grpc.service_config"]))
    [written_call], [our_call, _] = written["methodConfig"], ours["methodConfig"]
    for policy in (written_call["retryPolicy"], our_call["retryPolicy"]):
        for key in ("initialBackoff", "maxBackoff"):
            policy[key] = float(policy[key].removesuffix("s"))
    assert written_call == our_call
    assert written["loadBalancingConfig"] == ours["loadBalancingConfig"]
