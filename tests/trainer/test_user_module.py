"""Training a network from the user's own code."""

from pathlib import Path

import pytest

from conveyor_cli.main import main
from conveyor_trainer.run import load_run
from conveyor_trainer.settings import TrainSettings
from conveyor_trainer.train import train
from tests.trainer.networks import accuracy_of

CODE = """
from torch import nn

class Net(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.BatchNorm2d(8))
        self.head = nn.Linear(8 * 5 * 5, classes)

    def forward(self, x):
        return self.head(self.features(x).flatten(1))

ready = Net()
def build(): return Net()
def seven(): return Net(7)
def fails(): raise OSError("no weights here")
def number(): return 5
def empty(): return nn.ReLU()
def frozen(): return Net().requires_grad_(False)
def soft(): return nn.Sequential(Net(), nn.Softmax(dim=1))

class Auxiliary(Net):
    def forward(self, x):
        answers = super().forward(x)
        return (answers, answers) if self.training else answers
"""


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with net.py."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(CODE)
    return tmp_path


@pytest.mark.parametrize("factory", ["build", "ready"])
def test_a_module_trains_and_is_read_back(code: Path, factory: str) -> None:
    settings = TrainSettings(
        module=f"net.py:{factory}",
        input="1x12x12",
        data="digits",
        run=code / "run",
        recipe="article",
        epochs=1,
        batch_size=16,
        pictures=False,
        events=False,
    )
    run = train(settings)
    assert accuracy_of(run) > 0.9
    again = load_run(run.folder)
    assert again.architecture.name == factory
    assert again.task == "classification"
    again.load_module()
    other = train(settings.model_copy(update={"run": code / "other"}))
    assert other.digests == run.digests or factory == "ready"  # a module that is there already has weights of its own
    assert train(settings.model_copy(update={"resume": True})).digests == run.digests


def test_a_module_trains_and_exports_in_one_call(code: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["train", "--module", "net.py:build", "--input", "1x12x12", "--data", "digits", "--run", "run"]
    assert main([*arguments, "--recipe", "article", "--epochs", "1", "--no-pictures", "--export", "models"]) == 0
    assert (code / "models" / "build" / "1" / "model.onnx").is_file()
    assert "of 359 test images right" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code_", "message"),
    [
        ("--module net.py:fails --input 1x12x12", 1, "net.py:fails() failed (OSError: no weights here)"),
        ("--module net.py:number --input 1x12x12", 1, "gives a int; expected a torch.nn.Module"),
        ("--module net.py:empty --input 1x12x12", 1, "there is nothing to train"),
        ("--module net.py:frozen --input 1x12x12", 1, "there is nothing to train"),
        ("--module net.py:soft --input 1x12x12", 1, "ends in a softmax: each row of its answers adds up to 1; return"),
        ("--module net.py:Auxiliary --input 1x12x12", 1, "answers in training mode with a tuple; expected one tensor"),
        ("--module net.py:biuld --input 1x12x12", 2, "did you mean build"),
        ("--module nowhere.py:build --input 1x12x12", 2, "no file nowhere.py"),
        ("--module net.py:seven --input 1x12x12", 1, "with the shape (2, 7), but the data need (2, 10)"),
        ("--module net.py:build --input 1x28x28", 1, "fails on an input of 1x28x28 (RuntimeError"),
        ("--module net.py:build --input 2x12x12", 2, "1 or 3 channels"),
        ("--module net.py:build", 2, "--input CxHxW go together"),
        ("mnist_cnn --module net.py:build --input 1x12x12", 2, "either an ARCHITECTURE or --module"),
        ("", 2, "either an ARCHITECTURE or --module"),
    ],
)
def test_what_cannot_be_trained(
    code: Path, capsys: pytest.CaptureFixture[str], arguments: str, code_: int, message: str
) -> None:
    assert main(["train", *arguments.split(), "--data", "digits", "--run", "run"]) == code_
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
    assert not (code / "run").exists()
