"""The example script does what it says."""

import importlib.util
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "trainer" / "examples" / "train_and_export.py"


def test_train_and_export(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = importlib.util.spec_from_file_location("train_and_export", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    example.main(tmp_path, epochs=1)
    assert (tmp_path / "models" / "digits" / "1" / "model.onnx").is_file()
    assert "test images are right" in capsys.readouterr().out
