"""`conveyor export`: a run, or any torch.nn.Module, to a proved ONNX file in a model repository."""

import json
import sys

from conveyor_exporter.comparison_table import comparison_lines
from conveyor_exporter.errors import RejectedError
from conveyor_exporter.presentation import export_lines, progress
from conveyor_exporter.settings import ExportSettings

SUMMARY = "prove a trained network and export it to ONNX"
EXAMPLE = "conveyor export runs/digits --to models --name digits"
Settings = ExportSettings


def run(settings: ExportSettings) -> None:
    """Writes the version and prints every check; a refused network is an error."""
    with progress() as on_step:
        on_step("loading PyTorch")
        from conveyor_exporter.from_settings import export_from_settings

        try:
            result = export_from_settings(settings, on_step)
        except RejectedError as error:
            _show_refusal(error, settings.json_)
            raise
    if settings.json_:
        sys.stdout.write(json.dumps({"path": str(result.path), **result.report.to_dict()}, indent=2) + "\n")
        return
    sys.stdout.write("\n".join(export_lines(result.report, result.path)) + "\n")
    if result.contract.unproved:
        sys.stdout.write("note: fp16 is not proved here; the contract says so, and a server shows it\n")
    if settings.golden == "real" and settings.module is None:
        sys.stdout.write("note: the file holds a few images of the test split (--golden synthetic: none)\n")
    sys.stdout.write(f"\nnext: conveyor serve {settings.to}\n")


def _show_refusal(error: RejectedError, as_json: bool) -> None:
    """What was found, as far as the error's one sentence does not say it."""
    if as_json:
        sys.stdout.write(json.dumps({"path": None, **error.report.to_dict()}, indent=2) + "\n")
    elif error.report.comparisons:
        sys.stdout.write("\n".join(comparison_lines(error.report.comparisons)) + "\n")
