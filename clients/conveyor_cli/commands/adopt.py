"""`conveyor adopt`: anybody's ONNX classifier of images, checked and given a contract, into a model repository."""

import json
import sys

from conveyor_exporter.errors import RejectedError
from conveyor_exporter.presentation import export_lines, progress
from conveyor_exporter.settings import AdoptSettings

SUMMARY = "check somebody's ONNX classifier and write a contract into it"
EXAMPLE = (
    "conveyor adopt resnet.onnx --to models --name resnet --input 3x224x224 --labels labels.txt "
    "--mean 0.485,0.456,0.406 --standard-deviation 0.229,0.224,0.225 --shortest-side 256"
)
Settings = AdoptSettings


def run(settings: AdoptSettings) -> None:
    """Writes the version and prints every check; a refused file is an error."""
    from conveyor_exporter.adopting_settings import adopt_from_settings

    with progress() as on_step:
        try:
            result = adopt_from_settings(settings, on_step)
        except RejectedError as error:
            if settings.json_:
                sys.stdout.write(json.dumps({"path": None, **error.report.to_dict()}, indent=2) + "\n")
            raise
    if settings.json_:
        sys.stdout.write(json.dumps({"path": str(result.path), **result.report.to_dict()}, indent=2) + "\n")
        return
    sys.stdout.write("\n".join(export_lines(result.report, result.path)) + "\n")
    if not settings.data:
        sys.stdout.write("note: checked on noise only; --data DATASET checks on real images\n")
    sys.stdout.write(f"\nnext: conveyor serve {settings.to}\n")
