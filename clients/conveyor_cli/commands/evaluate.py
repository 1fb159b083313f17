"""`conveyor evaluate`: accuracy, loss and confusion matrix of a run or of an exported model."""

import json
import sys

from conveyor_exporter.presentation import evaluation_lines, progress
from conveyor_exporter.settings import EvaluateSettings

SUMMARY = "measure a run or an exported model on a data set"
EXAMPLE = "conveyor evaluate models/digits/1/model.onnx --data digits"
Settings = EvaluateSettings


def run(settings: EvaluateSettings) -> None:
    """Prints the figures, or JSON only."""
    from conveyor_exporter.evaluate import EvaluationRequest, evaluate

    with progress() as on_step:
        on_step(f"evaluating on {settings.data}")
        request = EvaluationRequest(
            data=settings.data,
            data_dir=settings.data_dir,
            split=settings.split,
            skip_unreadable=settings.skip_unreadable,
        )
        report = evaluate(settings.model, request)
    if settings.json_:
        sys.stdout.write(json.dumps(report.to_dict(), indent=2) + "\n")
        return
    sys.stdout.write("\n".join(evaluation_lines(report, settings.data, settings.split)) + "\n")
    target = settings.model
    following = f"export {target} --to models --name NAME" if target.is_dir() else f"inspect {target}"
    sys.stdout.write(f"\nnext: conveyor {following}\n")
