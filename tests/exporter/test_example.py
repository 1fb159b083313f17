"""The example scripts run as their first lines say."""

import runpy
import warnings
from pathlib import Path

import pytest

from conveyor_contract.model_file import read_model_file

EXAMPLES = Path(__file__).parents[2] / "exporter/examples"


@pytest.mark.parametrize(
    ("script", "name"), [("export_your_module.py", "digits8x8"), ("export_lightning_module.py", "lightning")]
)
def test_the_example_exports_a_good_network(
    script: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning has advice on workers and loggers
        runpy.run_path(str(EXAMPLES / script), run_name="__main__")
    contract = read_model_file(tmp_path / "models" / name / "1/model.onnx").verify()
    accuracy = next(check for check in contract.evidence.checks if check.name == "accuracy")
    assert accuracy.figures["pytorch"] == accuracy.figures["onnxruntime"] > 0.9
