"""Values, signals and folders of pictures: trained, exported and served, with PyTorch's own answers at the end."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from conveyor_bench.server_process import serving
from conveyor_cli.main import main
from conveyor_client import Client, InvalidImage
from conveyor_trainer.evaluate import predict
from conveyor_trainer.run import Run, load_run
from tests.trainer.pictures import write_pictures

WAVES = """
name: waves
input: 2x32 # channels x length
layers:
  - conv1d: {filters: 8, kernel_size: 5, padding: same, activation: relu}
  - max_pool1d
  - conv1d: {filters: 16, kernel_size: 3, strides: 2, padding: same, activation: relu}
  - global_avg_pool1d
  - flatten
  - dense: {units: classes}
"""
PICTURES = """
name: pictures
input: 16x16x3
layers:
  - conv2d: {filters: 4, kernel_size: 3, activation: relu}
  - global_avg_pool2d
  - flatten
  - dense: {units: classes, activation: softmax}
"""
COUNT = 200


def _write_values(folder: Path) -> Path:
    """Sines of 1 to 6 periods, each with a cosine twice as high; two values that say how many periods."""
    random = np.random.default_rng(0)
    periods, shift = random.uniform(1, 6, (2, COUNT, 1))
    angle = 2 * np.pi * (periods * np.arange(32) / 32 + shift)
    signals = np.stack([np.sin(angle), 2 * np.cos(angle)], axis=1) + random.normal(0, 0.05, (COUNT, 2, 32))
    np.savez(folder / "waves.npz", x=signals.astype(np.float32), y=np.hstack([1000 * periods, -periods]))
    (folder / "architecture.yaml").write_text(WAVES)
    return folder / "waves.npz"


def _write_folder(folder: Path) -> Path:
    for name, brightness in (("night", 40), ("dusk", 110), ("day", 210)):
        write_pictures(folder / "pictures" / name, 20, brightness=brightness)
    (folder / "architecture.yaml").write_text(PICTURES)
    return folder / "pictures"


def _trained(folder: Path, write: Callable[[Path], Path], data: str) -> tuple[Run, Path]:
    path = write(folder)
    arguments = ["train", str(folder / "architecture.yaml"), "--data", data, "--data-dir", str(path), "--epochs", "3"]
    assert main([*arguments, "--run", str(folder / "run"), "--export", str(folder / "models"), "--name", "mine"]) == 0
    return load_run(folder / "run"), path


def test_signals_with_values(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, path = _trained(tmp_path, _write_values, "arrays")
    assert run.report.r2 is not None
    assert run.report.r2 > 0.8
    assert "mean absolute error" in capsys.readouterr().out
    rows = np.asarray(run.load_data(path).test.rows)
    outputs = predict(run.load_module(), rows, run.normalisation)
    with serving(tmp_path / "models") as server, Client(server.address) as client:
        answers = client.classify_many(list(rows), model="mine")
        with pytest.raises(InvalidImage, match=r"expected FP32 \[2, 32\]"):
            client.classify(rows[0][:1], model="mine")
    np.testing.assert_allclose([answer.values for answer in answers], outputs.numpy(), rtol=1e-4, atol=1e-2)
    for model in (tmp_path / "run", tmp_path / "models" / "mine" / "1" / "model.onnx"):
        assert main(["evaluate", str(model), "--data", "arrays", "--data-dir", str(path), "--json"]) == 0
        figures = json.loads(capsys.readouterr().out)
        assert (figures["count"], figures["same_data"]) == (40, True)
        for name in ("mae", "rmse", "r2"):
            assert figures[name] == pytest.approx(getattr(run.report, name), rel=1e-4)


def test_a_folder_of_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pictures" / "day").mkdir(parents=True)
    (tmp_path / "pictures" / "day" / "broken.png").write_bytes(b"no picture")
    with pytest.raises(AssertionError):
        _trained(tmp_path, _write_folder, "folder")
    assert "day/broken.png cannot be used" in capsys.readouterr().err
    (tmp_path / "pictures" / "day" / "broken.png").unlink()
    run, path = _trained(tmp_path, _write_folder, "folder")
    assert run.labels == ("day", "dusk", "night")
    assert run.report.accuracy is not None
    assert run.report.accuracy > 0.9
    files = sorted(path.rglob("*.*"))
    with serving(tmp_path / "models") as server, Client(server.address) as client:
        answers = client.classify_many(files, model="mine")
    right = [answer.label == file.parent.name for answer, file in zip(answers, files, strict=True)]
    assert np.mean(right) > 0.9
