"""Values, signals and folders of pictures: trained, exported and served, with PyTorch's own answers at the end."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest

from conveyor_bench.server_process import serving
from conveyor_cli.main import main
from conveyor_client import Client, InvalidImage
from conveyor_trainer.evaluate import predict
from conveyor_trainer.run import Run, load_run
from tests.trainer.pictures import write_pictures

EXAMPLE = Path(__file__).parents[2] / "trainer" / "examples" / "signals" / "train_on_signals.py"
PICTURES = """
name: pictures
input: 16x16x3
layers:
  - conv2d: {filters: 4, kernel_size: 3, activation: relu}
  - global_avg_pool2d
  - flatten
  - dense: {units: classes, activation: softmax}
"""


def test_the_signals_example(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    speed, state = runpy.run_path(str(EXAMPLE))["main"](tmp_path, epochs=3)
    assert speed.report.r2 > 0.9
    assert state.report.accuracy > 0.9
    assert state.labels == ("racing", "running", "starting")
    assert "next: conveyor serve" in capsys.readouterr().out
    rows = np.asarray(speed.load_data().test.rows)
    with serving(tmp_path / "models") as server, Client(server.address) as client:
        speeds = client.classify_many(list(rows), model="speed")
        states = client.classify_many(list(rows), model="state", top_k=3)
        with pytest.raises(InvalidImage, match=r"expected FP32 \[2, 64\]"):
            client.classify(rows[0][:1], model="speed")
    values = predict(speed.load_module(), rows, speed.normalisation)
    np.testing.assert_allclose([answer.values for answer in speeds], values.numpy(), rtol=1e-4, atol=1e-3)
    logits = predict(state.load_module(), rows, state.normalisation)
    for answer, probabilities in zip(states, logits.softmax(dim=1).tolist(), strict=True):
        found = {prediction.label: prediction.probability for prediction in answer.predictions}
        assert [found[label] for label in state.labels] == pytest.approx(probabilities, abs=1e-5)
    _evaluates_as_reported(speed, tmp_path, capsys)


def _evaluates_as_reported(run: Run, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By `conveyor evaluate`, for the run and for its exported file."""
    for model in (run.folder, folder / "models" / "speed" / "1" / "model.onnx"):
        arguments = ["evaluate", str(model), "--data", "arrays", "--data-dir", str(folder / "speed.npz"), "--json"]
        assert main(arguments) == 0
        figures = json.loads(capsys.readouterr().out)
        assert (figures["count"], figures["same_data"]) == (120, True)
        for name in ("mae", "rmse", "r2"):
            assert figures[name] == pytest.approx(getattr(run.report, name), rel=1e-4)


def test_values_from_a_network_of_your_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(
        "from torch import nn\ndef make(): return nn.Sequential(nn.Flatten(), nn.Linear(12, 1))\n"
    )
    signals = np.random.default_rng(0).normal(0, 4, (300, 2, 6)).astype(np.float32)
    values = 1000 + signals.sum(axis=(1, 2))  # far from where a network begins: deviation 14
    np.savez("values.npz", x=signals, y=values)
    arguments = ["train", "--module", "net.py:make", "--input", "2x6", "--task", "regression", "--data", "arrays"]
    arguments += ["--data-dir", "values.npz", "--run", "run", "--epochs", "5", "--learning-rate", "0.02"]
    assert main([*arguments, "--export", "models"]) == 0
    run = load_run("run")
    assert run.report.r2 is not None
    assert run.report.r2 > 0.9
    with serving(tmp_path / "models") as server, Client(server.address) as client:
        answers = client.classify_many(list(signals), model="make")
    assert np.abs(np.array([answer.values[0] for answer in answers]) - values).mean() < 5
    report = json.loads(Path("run/report.json").read_text())
    Path("run/report.json").write_text(json.dumps(report | {"mae": 2 * report["mae"]}))
    capsys.readouterr()
    assert main(["export", "run", "--to", "models", "--name", "make"]) == 1
    assert "training reports a mean absolute error of" in capsys.readouterr().err


def test_a_folder_of_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures = tmp_path / "pictures"
    for name, brightness in (("night", 40), ("dusk", 110), ("day", 210)):
        write_pictures(pictures / name, 20, brightness=brightness)
    (pictures / "day" / "broken.png").write_bytes(b"no picture")
    (tmp_path / "pictures.yaml").write_text(PICTURES)
    arguments = ["train", str(tmp_path / "pictures.yaml"), "--data", "folder", "--data-dir", str(pictures)]
    arguments += ["--run", str(tmp_path / "run"), "--export", str(tmp_path / "models"), "--epochs", "3"]
    assert main(arguments) == 1
    assert "day/broken.png cannot be used" in capsys.readouterr().err
    (pictures / "day" / "broken.png").unlink()
    assert main(arguments) == 0
    run = load_run(tmp_path / "run")
    assert run.labels == ("day", "dusk", "night")
    assert run.report.accuracy is not None
    assert run.report.accuracy > 0.9
    files = sorted(pictures.rglob("*.*"))
    # Two of the formats a server does not decode unasked.
    formats = ("--image-formats", "png,jpeg,webp,bmp,gif,tiff")
    with serving(tmp_path / "models", *formats) as server, Client(server.address) as client:
        answers = client.classify_many(files, model="pictures")
    right = [answer.label == file.parent.name for answer, file in zip(answers, files, strict=True)]
    assert np.mean(right) > 0.9
