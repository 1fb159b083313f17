"""A run whose network was changed after its training is not taken for the one that was trained."""

from pathlib import Path

import numpy as np
import pytest

from conveyor_cli.main import main
from conveyor_trainer.errors import RunError
from conveyor_trainer.run import load_run
from conveyor_trainer.settings import TrainSettings
from conveyor_trainer.train import train
from tests.trainer.networks import tiny_settings

VALUES = """
name: values
input: 1x6
layers:
  - flatten
  - dense: {units: 4, activation: relu}
  - dense: {units: classes}
"""
CODE = """
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 1)

    def forward(self, x):
        return self.layer(x.flatten(1))
"""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainSettings:
    """A regression on sums.npz."""
    monkeypatch.chdir(tmp_path)
    signals = np.random.default_rng(0).normal(0, 1, (100, 1, 6)).astype(np.float32)
    np.savez("sums.npz", x=signals, y=signals.sum(axis=(1, 2)))
    settings = tiny_settings(tmp_path, data="arrays", data_dir=Path("sums.npz"))
    Path("tiny.yaml").write_text(VALUES)
    return settings


def test_an_edited_architecture(settings: TrainSettings, capsys: pytest.CaptureFixture[str]) -> None:
    folder = train(settings).folder
    path = folder / "architecture.yaml"
    trained = path.read_text()
    assert "relu" in trained
    path.write_text(trained.replace("relu", "tanh"))
    with pytest.raises(RunError, match=r"architecture.yaml is not the architecture that the run was trained with"):
        load_run(folder)
    assert main(["export", str(folder), "--to", "models", "--name", "values"]) == 1
    assert "the file was changed" in capsys.readouterr().err
    path.write_text("# only a remark\n" + trained)
    load_run(folder).load_module()


def test_edited_code(settings: TrainSettings, capsys: pytest.CaptureFixture[str]) -> None:
    Path("net.py").write_text(CODE)
    of_module = {"architecture": None, "module": "net.py:Net", "input": "1x6", "task": "regression"}
    run = train(TrainSettings(**(settings.model_dump() | of_module)))
    run.load_module()
    Path("net.py").write_text(CODE.replace("x.flatten(1)", "x.flatten(1).abs()"))
    with pytest.raises(RunError, match=r"net.py:Net is not the network that .* was trained with"):
        load_run(run.folder).load_module()
    assert main(["export", str(run.folder), "--to", "models", "--name", "values"]) == 1
    assert "the text of its file have changed since" in capsys.readouterr().err
    assert not Path("models").exists()
