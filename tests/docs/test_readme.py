"""Every command and every piece of Python in the README, run in the order in which a reader meets them."""

import os
import re
import shlex
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from conveyor_bench.server_process import running
from conveyor_contract.preprocessing import encode_png
from tests.docs.mnist_files import write_mnist_files

README = Path(__file__).parents[2] / "README.md"
SERVE = "conveyor serve models --port 8001"
STEPS = README.read_text().partition("## Step by step")[2].partition("\n## ")[0]
BLOCKS = re.findall(r"```(sh|python)\n(.*?)```", STEPS, re.DOTALL)
# Shorter than a reader's run, by the settings' own environment variables.
QUICK = {"CONVEYOR_TRAIN_EPOCHS": "1", "CONVEYOR_BENCH_DURATION": "1", "OMP_NUM_THREADS": "1"}


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A folder with what the README takes for granted: a picture of a digit, MNIST's files, port 8001."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", 8001)) == 0:
            pytest.skip("something else listens on port 8001, which the README's server takes")
    digit = np.zeros((28, 28, 1), np.uint8)
    digit[4:24, 12:16] = 255  # a one
    (tmp_path / "digit.png").write_bytes(encode_png(digit))
    write_mnist_files(tmp_path / "MNIST_FOLDER", train=600, test=100)
    return tmp_path


def _environment() -> dict[str, str]:
    return {**os.environ, **QUICK, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def _run(command: list[str], workspace: Path) -> str:
    finished = subprocess.run(
        command, check=False, cwd=workspace, env=_environment(), capture_output=True, text=True, timeout=280
    )
    assert finished.returncode == 0, f"{shlex.join(command)}\n{finished.stdout}\n{finished.stderr}"
    return finished.stdout


def test_the_readme_has_steps_to_run() -> None:
    commands = [line for kind, block in BLOCKS if kind == "sh" for line in block.splitlines()]
    assert SERVE in commands
    assert len(commands) >= 8


def test_each_command_and_snippet_of_the_readme_works(workspace: Path) -> None:
    with ExitStack() as stack:
        stack.enter_context(pytest.MonkeyPatch.context()).chdir(workspace)
        for kind, block in BLOCKS:
            if block.startswith("# my_network.py"):
                (workspace / "my_network.py").write_text(block)
            elif kind == "python":
                assert _run([sys.executable, "-c", block], workspace).strip()
            else:
                for line in block.splitlines():
                    if line == SERVE:
                        words = [sys.executable, "-m", "conveyor_cli", *shlex.split(line)[1:]]
                        stack.enter_context(running(words))
                    else:
                        _run(shlex.split(line), workspace)
