"""`conveyor summary` and `conveyor train` as a user meets them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from conveyor_cli.main import main
from tests.trainer.networks import TINY


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with tiny.yaml."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(TINY)
    return tmp_path


def test_summary_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["summary", "mnist_cnn", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["parameters"] == 121_930
    assert summary["macs"] == 2_528_000
    first, last = summary["layers"][0], summary["layers"][-1]
    assert (first["name"], first["type"], first["output_shape"], first["parameters"]) == (
        "conv2d_1",
        "conv2d",
        [32, 26, 26],
        320,
    )
    assert last["output_shape"] == [10]


def test_summary_as_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["summary", "mnist_cnn", "--formulas", "--classes", "3"]) == 0
    out = capsys.readouterr().out
    assert "floor((28 + 2*0 - 3)/1) + 1 = 26" in out
    assert "121,475 parameters" in out
    assert "drops the last 1 row of 11" in out
    assert "next: conveyor train mnist_cnn" in out


def test_summary_for_another_input(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["summary", "tiny.yaml", "--input-size", "64x32", "--colour", "rgb", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["input_shape"] == [3, 64, 32]
    assert summary["layers"][0]["output_shape"] == [8, 62, 30]
    assert main(["summary", "tiny.yaml", "--input-size", "64x32"]) == 0
    assert "next: conveyor train tiny.yaml --input-size 64x32 --data digits" in capsys.readouterr().out
    assert main(["summary", "tiny.yaml", "--input-size", "64"]) == 2
    assert "--input-size: must read HxW" in capsys.readouterr().err
    (tiny / "open.yaml").write_text(TINY.replace("classes: 10\n", ""))
    assert main(["summary", "open.yaml"]) == 1
    assert "give --classes N" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["speed", "state"])
def test_summary_of_the_shipped_examples(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(__file__).parents[2] / "trainer" / "examples" / "signals" / f"{name}.yaml"
    assert main(["summary", str(path)]) == 0
    assert "--data arrays --data-dir DATA.npz" in capsys.readouterr().out


def test_summary_shows_what_is_inside_a_block(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    block = "  - residual: {layers: [conv2d: {filters: 4, kernel_size: 3, padding: same, strides: 2}]}\n"
    (tiny / "block.yaml").write_text(TINY.replace("layers:\n", "layers:\n" + block))
    assert main(["summary", "block.yaml", "--json"]) == 0
    residual = json.loads(capsys.readouterr().out)["layers"][0]
    assert residual["layers"][0]["parameters"] == 40
    assert residual["parameters"] == 40 + 4 + 8  # and the shortcut's 1x1 convolution and batch_norm
    assert main(["summary", "block.yaml"]) == 0
    assert "  conv2d_1" in capsys.readouterr().out


def test_unknown_names_are_wrong_usage(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["summary", "mnist_cn"]) == 2
    assert main(["train", "tiny.yaml", "--data", "digit", "--run", "run"]) == 2
    assert main(["train", "tiny.yaml", "--data", "digits", "--run", "run", "--epochs", "0"]) == 2
    assert main(["train", "tiny.yaml", "--data", "digits", "--run", "run", "--name", "x"]) == 2
    assert main(["train", "tiny.yaml", "--data", "mnist", "--data-dir", "absent", "--run", "run"]) == 1
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 5
    assert "did you mean 'mnist_cnn'" in errors[0]
    assert "did you mean 'digits'" in errors[1]
    assert "no train-images-idx3-ubyte or train-images-idx3-ubyte.gz in absent" in errors[4]
    assert not (tiny / "run").exists()


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ("--skip-unreadable", "--skip-unreadable is for image files"),
        ("--data-dir .", "digits come along with scikit-learn: leave out --data-dir"),
        ("--resume --force", "--resume goes on with the run that --force would replace"),
        ("--task regression", "--task is for --module"),
    ],
)
@pytest.mark.usefixtures("tiny")
def test_what_would_have_no_effect_is_refused(extra: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "tiny.yaml", "--data", "digits", "--run", "run", *extra.split()]) == 2
    assert words in capsys.readouterr().err


def test_train_prints_its_result_and_what_to_do_next(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["train", "tiny.yaml", "--data", "digits", "--run", "run", "--recipe", "article", "--epochs", "1"]
    assert main(arguments) == 0
    captured = capsys.readouterr()
    assert "of 359 test images right" in captured.out
    assert "next: conveyor export run" in captured.out
    assert captured.err == ""
    assert main(arguments) == 1
    assert "already holds a run" in capsys.readouterr().err


def test_train_and_export_in_one_call(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["train", "tiny.yaml", "--data", "digits", "--run", "run", "--recipe", "article", "--epochs", "1"]
    assert main([*arguments, "--no-pictures", "--no-events", "--export", "models"]) == 0
    assert (tiny / "models" / "tiny" / "1" / "model.onnx").is_file()
    out = capsys.readouterr().out
    assert "of 359 test images right" in out
    assert "next: conveyor serve models" in out


def test_help_is_quick(run_python: Callable[[str], None]) -> None:
    run_python("import sys, conveyor_cli.commands.train; assert not {'numpy', 'torch', 'PIL'} & sys.modules.keys()")
