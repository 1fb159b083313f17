"""The main job as a user runs it: trained, exported, served and classified by the commands themselves."""

import re
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def demonstration(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("demonstration")
    command = [sys.executable, "-m", "conveyor_cli", "demo", "--folder", str(folder), "--bench-seconds", "0.5"]
    finished = subprocess.run([*command, "--epochs", "1"], check=False, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    return folder, finished.stdout


def test_it_leaves_a_run_and_a_model_behind(demonstration: tuple[Path, str]) -> None:
    folder, _ = demonstration
    assert (folder / "run" / "report.json").is_file()
    assert (folder / "models" / "digits" / "1" / "model.onnx").is_file()


def test_the_server_and_pytorch_agree_on_every_held_out_image(demonstration: tuple[Path, str]) -> None:
    _, printed = demonstration
    match = re.search(r"over all 359 held-out images: ([\d.]+)% through the server, ([\d.]+)% by PyTorch", printed)
    assert match
    assert match[1] == match[2]
    assert float(match[1]) > 90


def test_it_shows_answers_a_latency_table_a_clean_stop_and_what_to_try_next(demonstration: tuple[Path, str]) -> None:
    _, printed = demonstration
    assert len(re.findall(r"held out \d+ +│ \d +│ \d", printed)) == 10
    assert len(re.findall(r"│ +(?:1|8|64) │ +[\d,]+ │ +[\d.]+ │", printed)) == 3
    assert "ended with exit code 0" in printed
    assert "conveyor inspect" in printed
