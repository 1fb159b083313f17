"""The commands export, evaluate, check and inspect, as a user types them."""

import json
import shutil
from pathlib import Path

import pytest

from conveyor_cli.main import main
from conveyor_contract.model_file import read_model_file
from conveyor_exporter.publishing import ExportResult
from conveyor_trainer.settings import TrainSettings

ARCHITECTURE = """
name: tiny
input: 8x8x1
layers:
  - conv2d: {filters: 4, kernel_size: 3, activation: relu}
  - flatten
  - dense: {units: classes, activation: softmax}
"""
NETWORK_FILE = """
from torch import nn

def build():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 3))

def fails():
    raise OSError("no weights here")

def number():
    return 3
"""


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from conveyor_trainer.train import train

    folder = tmp_path_factory.mktemp("run")
    (folder / "tiny.yaml").write_text(ARCHITECTURE)
    settings = TrainSettings(architecture=str(folder / "tiny.yaml"), data="digits", epochs=1, run=folder / "run")
    return train(settings).folder


@pytest.fixture
def network_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "network.py"
    path.write_text(NETWORK_FILE)
    return path


def test_a_run_is_exported_and_measures_the_same(
    run_folder: Path, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run_folder / "pictures").mkdir(exist_ok=True)
    (run_folder / "pictures" / "mine.png").write_bytes(b"PNG")
    assert main(["export", str(run_folder), "--to", str(repository), "--name", "tiny"]) == 0
    printed = capsys.readouterr()
    assert "checks passed" in printed.out
    assert f"next: conveyor serve {repository}" in printed.out
    assert printed.err == ""

    path = repository / "tiny/1/model.onnx"
    for split in ("test", "train", "validation"):
        reports = []
        for model in (run_folder, path):
            assert main(["evaluate", str(model), "--data", "digits", "--split", split, "--json"]) == 0
            reports.append(json.loads(capsys.readouterr().out))
        assert {"accuracy", "loss", "count", "confusion_matrix"} <= set(reports[0])
        assert reports[0]["accuracy"] == reports[1]["accuracy"]
        assert reports[0]["confusion_matrix"] == reports[1]["confusion_matrix"]
        assert reports[0]["loss"] == pytest.approx(reports[1]["loss"], abs=1e-5)

    assert (path.parent / "report" / "mine.png").read_bytes() == b"PNG"
    assert main(["export", str(run_folder), "--to", str(repository), "--name", "tiny", "--version", "1"]) == 1
    assert "exists; leave --version out" in capsys.readouterr().err

    contract = read_model_file(path).verify()
    assert contract.provenance.data_set == "digits"
    assert contract.training_statistics.class_frequencies
    names = {check.name for check in contract.evidence.checks}
    assert {"accuracy", "agreement", "layer_shapes", "golden_samples", "parity_real"} <= names


def test_a_run_trained_on_other_preprocessing_is_refused(
    run_folder: Path, repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    shutil.copytree(run_folder, other)
    report = json.loads((other / "report.json").read_text())
    report["normalisation"]["mean"] = [5.0]
    (other / "report.json").write_text(json.dumps(report))
    assert main(["export", str(other), "--to", str(repository), "--name", "tiny"]) == 1
    assert "other data or other preprocessing than in training" in capsys.readouterr().err
    assert not repository.exists()
    assert (other / "rejected/tiny-1/model.onnx").exists()


def test_a_module_is_exported_on_noise(
    network_file: Path, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["export", "--module", f"{network_file}:build", "--input", "1x8x8", "--labels", "a,b,c"]
    assert main([*arguments, "--to", str(repository), "--name", "mine", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["path"] == str(repository / "mine/1/model.onnx")
    assert report["ok"]
    golden = read_model_file(Path(report["path"])).golden
    assert golden is not None
    assert golden.synthetic


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--module", "network.py:build"], 2, "needs --input"),
        (["--module", "network.py:build", "--input", "8"], 2, "CxHxW"),
        (["--module", "network.py", "--input", "1x8x8"], 2, "FILE_OR_MODULE:FACTORY"),
        (["--module", "network.py:biuld", "--input", "1x8x8"], 2, "did you mean build"),
        (["--module", "nowhere.py:build", "--input", "1x8x8"], 2, "no file nowhere.py"),
        (["--module", "network.py:fails", "--input", "1x8x8"], 1, "OSError: no weights here"),
        (["--module", "network.py:number", "--input", "1x8x8"], 1, "gives a int"),
        (["--module", "network.py:build", "--input", "2x8x8"], 1, "2 channels"),
        (["--module", "network.py:build", "--input", "1x9x8"], 1, "check forward failed"),
        (["--module", "network.py:build", "--input", "1x8x8", "--mean", "x"], 2, "one number per channel"),
        ([], 2, "give either"),
        (["somewhere", "--labels", "a,b"], 2, "--labels goes with --module"),
        (["somewhere", "--output", "probabilities"], 2, "--output goes with --module"),
        (["somewhere"], 1, "somewhere"),
    ],
)
def test_bad_input_is_one_clear_line(
    arguments: list[str], code: int, words: str, network_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", *arguments, "--to", "models", "--name", "mine"]) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert words in printed.err
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
    assert not Path("models").exists()


def test_check_and_inspect(exported: ExportResult, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(exported.path), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["ok"]
    assert {"name", "ok", "detail"} <= set(report["checks"][0])
    assert main(["inspect", str(exported.path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["contract"]["labels"] == ["ant", "bee", "cat"]
    assert main(["inspect", str(exported.path)]) == 0
    assert "image UINT8 [batch, 8, 8, 1]" in capsys.readouterr().out


def test_a_failing_check_is_exit_one(
    exported: ExportResult, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    altered = tmp_path / "model.onnx"
    altered.write_bytes(exported.path.read_bytes().replace(b'"ant"', b'"owl"'))
    assert main(["check", str(altered)]) == 1
    printed = capsys.readouterr()
    assert "FAIL  contract" in printed.out
    assert "1 of" in printed.err


def test_another_data_set_is_refused(exported: ExportResult, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(exported.path), "--data", "digits"]) == 1
    assert "labels" in capsys.readouterr().err
    assert main(["evaluate", str(exported.path), "--data", "digit"]) == 2
    assert "digits" in capsys.readouterr().err
