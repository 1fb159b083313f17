"""The example script runs as its first lines say."""

import subprocess
import sys
from pathlib import Path

from conveyor_contract.model_file import read_model_file

EXAMPLE = Path(__file__).parents[2] / "exporter/examples/export_your_module.py"


def test_the_example_exports_a_good_network(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLE)], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    contract = read_model_file(tmp_path / "models/digits8x8/1/model.onnx").verify()
    accuracy = next(check for check in contract.evidence.checks if check.name == "accuracy")
    assert accuracy.figures["pytorch"] == accuracy.figures["onnxruntime"] > 0.9
