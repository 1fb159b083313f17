"""A network beside a data set: whose labels are served, and what is said when the outputs mean something else."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from conveyor.v1 import model_pb2
from conveyor_cli.main import main
from conveyor_contract.model_file import read_model_file
from conveyor_exporter.description import LabelledRows
from conveyor_exporter.errors import ExportError
from conveyor_exporter.exporting import export
from tests.exporter.conftest import SMALL, describe
from tests.exporter.networks import plain
from tests.exporter.test_adopt import classifier

SHADES = ("white", "grey", "black")  # not in the order of the alphabet, which a data set's own order would be
CODE = """
import torch
from torch import nn

class Shades(nn.Module):
    '''The nearest of some shades to an image's mean.'''
    def __init__(self, *shades):
        super().__init__()
        self.shades = nn.Parameter(torch.tensor(shades))

    def forward(self, x):
        return -30 * (x.mean(dim=(1, 2, 3)).unsqueeze(1) - self.shades).square()

def right(): return Shades(1.0, 0.5, 0.0)
def turned(): return Shades(0.5, 0.0, 1.0)
def four(): return Shades(1.0, 0.5, 0.0, 2.0)
"""


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with shades.py and shades.npz: images of one shade each, in grey and in colour."""
    monkeypatch.chdir(tmp_path)
    Path("shades.py").write_text(CODE)
    classes = np.arange(30) % 3
    for name, channels in (("shades", 1), ("colours", 3)):
        images = np.array([255, 128, 0], np.uint8)[classes][:, None, None, None].repeat(8, 1).repeat(8, 2)
        x = images.repeat(channels, 3)
        np.savez(f"{name}.npz", x_train=x, y_train=classes, x_test=x, y_test=classes, labels=SHADES)
    return tmp_path


def command(factory: str, *more: str) -> list[str]:
    source = ["--module", f"shades.py:{factory}", "--input", "1x8x8", "--data", "arrays", "--data-dir", "shades.npz"]
    return ["export", *source, "--to", "models", "--name", "shades", *more]


@pytest.mark.usefixtures("workspace")
def test_the_data_name_the_outputs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command("right")) == 0
    out = capsys.readouterr().out
    assert "accuracy" in out
    assert "chance" not in out
    assert tuple(read_model_file(Path("models/shades/1/model.onnx")).verify().labels) == SHADES


@pytest.mark.usefixtures("workspace")
@pytest.mark.parametrize("labels", ["black,grey,white", "white,grey", "a,b,c"])
def test_other_labels_than_the_data_are_refused(labels: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command("right", "--labels", labels)) == 1
    assert f"labels ({', '.join(labels.split(','))}, ...) are not those of arrays" in capsys.readouterr().err
    assert main(command("right", "--labels", ",".join(SHADES))) == 0


@pytest.mark.usefixtures("workspace")
def test_more_outputs_than_classes_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command("four")) == 1
    assert "3 labels for 4 outputs" in capsys.readouterr().err


@pytest.mark.usefixtures("workspace")
def test_an_accuracy_of_chance_or_less_is_pointed_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command("turned")) == 0
    assert "0.00% of 30 test rows for both; no better than chance (33.33%)" in capsys.readouterr().out


@pytest.mark.usefixtures("workspace")
def test_an_adopted_file_has_the_labels_of_its_data(capsys: pytest.CaptureFixture[str]) -> None:
    onnx.save(classifier(), "foreign.onnx")
    adopt = ["adopt", "foreign.onnx", "--input", "3x8x8", "--to", "models", "--name", "theirs"]
    adopt += ["--data", "arrays", "--data-dir", "colours.npz"]
    assert main([*adopt, "--labels", "black,grey,white"]) == 1
    assert "not those of arrays" in capsys.readouterr().err
    assert main(adopt) == 0
    assert tuple(read_model_file(Path("models/theirs/1/model.onnx")).verify().labels) == SHADES


def test_test_data_that_the_outputs_cannot_answer_are_refused(repository: Path) -> None:
    rows = np.zeros((4, 8, 8, 1), np.uint8)
    of_five = replace(describe(), test=LabelledRows(rows=rows, targets=np.array([0, 1, 2, 4])))
    with pytest.raises(ExportError, match="has 3 outputs, but the test data have a class 4"):
        export(plain(), of_five, repository, "plain", options=SMALL)
    one_value = LabelledRows(rows=rows, targets=np.zeros((4, 1), np.float32))
    values = replace(
        describe(),
        labels=(),
        task=model_pb2.TASK_REGRESSION,
        returns=model_pb2.MEANING_VALUES,
        test=one_value,
    )
    with pytest.raises(ExportError, match="answers with 3 values, the test data have 1 a row"):
        export(plain(), values, repository, "plain", options=SMALL)
    assert not repository.exists()
