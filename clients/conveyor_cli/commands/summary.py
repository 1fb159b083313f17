"""`conveyor summary`: an architecture's layers, shapes and costs, without PyTorch."""

import json
import sys

from conveyor_trainer.architecture_file import find_architecture
from conveyor_trainer.settings import SummarySettings
from conveyor_trainer.summary import print_summary, summary_json

SUMMARY = "show each layer's shape and cost, by arithmetic alone"
EXAMPLE = "conveyor summary mnist_cnn --formulas"
Settings = SummarySettings


def run(settings: SummarySettings) -> None:
    """Prints the table, or JSON only."""
    architecture = find_architecture(settings.architecture).with_format(settings.input_size, settings.colour)
    if settings.classes is not None:
        architecture = architecture.with_classes(settings.classes)
    if settings.json_:
        sys.stdout.write(json.dumps(summary_json(architecture), indent=2) + "\n")
        return
    print_summary(architecture, formulas=settings.formulas)
    size = f" --input-size {settings.input_size}" if settings.input_size else ""
    colour = f" --colour {settings.colour}" if settings.colour else ""
    data = "digits" if len(architecture.input_shape) == 3 else "arrays --data-dir DATA.npz"
    sys.stdout.write(
        f"\nnext: conveyor train {settings.architecture}{size}{colour} --data {data} --run runs/{architecture.name}\n"
    )
