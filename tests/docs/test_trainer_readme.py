"""The architecture, the commands and the table of layers in the trainer's README."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from conveyor_trainer.layers import LAYER_TYPES

TEXT = (Path(__file__).parents[2] / "trainer" / "README.md").read_text()
BLOCKS = re.findall(r"```(sh|yaml)\n(.*?)```", TEXT, re.DOTALL)
COMMANDS = [line.partition("#")[0].strip() for kind, block in BLOCKS if kind == "sh" for line in block.splitlines()]
QUICK = {"CONVEYOR_TRAIN_EPOCHS": "1", "CONVEYOR_TRAIN_PICTURES": "false", "OMP_NUM_THREADS": "1"}


def run(command: list[str], folder: Path) -> str:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    finished = subprocess.run(
        command,
        check=False,
        cwd=folder,
        env={**os.environ, **QUICK, "PATH": path},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert finished.returncode == 0, f"{shlex.join(command)}\n{finished.stdout}\n{finished.stderr}"
    return finished.stdout


def test_every_layer_is_in_the_table() -> None:
    cells = re.findall(r"^\| (`.*?) \|", TEXT, re.MULTILINE)
    named = set(re.findall(r"`(\w+)`", " ".join(cells)))
    assert set(LAYER_TYPES) <= named


def test_its_architecture_can_be_read(tmp_path: Path) -> None:
    (architecture,) = (block for kind, block in BLOCKS if kind == "yaml")
    (tmp_path / "my_network.yaml").write_text(architecture)
    assert "13 x 13 x 32" in run(["conveyor", "summary", "my_network.yaml"], tmp_path)


@pytest.mark.timeout(600)
def test_its_commands_work_in_their_order(tmp_path: Path) -> None:
    commands = [shlex.split(line) for line in COMMANDS if not line.startswith("tensorboard")]
    assert len(commands) >= 6
    for command in commands:
        if command[:2] == ["accelerate", "launch"]:
            command[2:2] = ["--main_process_port", "0"]  # any that is free, in place of a reader's 29500
        run(command, tmp_path)
    report = json.loads((tmp_path / "runs" / "two" / "report.json").read_text())
    assert report["machine"]["processes"] == "2"
