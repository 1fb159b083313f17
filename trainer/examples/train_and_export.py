"""Train and export from Python: what `conveyor train mnist_cnn --data digits --run ... --export ...` does in one call.

    python trainer/examples/train_and_export.py [FOLDER]

leaves FOLDER/run (the training run) and FOLDER/models/digits/1/model.onnx, ready for `conveyor serve FOLDER/models`.
"""

import sys
from pathlib import Path

from conveyor_exporter.exporting import export_run
from conveyor_trainer.evaluate import evaluate_module
from conveyor_trainer.run import Run
from conveyor_trainer.settings import TrainSettings
from conveyor_trainer.train import train


def main(folder: Path, epochs: int | None = None) -> Run:
    """Trains into folder/run and exports into folder/models; the recipe says how many epochs unless told."""
    # 1. Train. Settings are those of the command line; the same seed gives the same weights.
    settings = TrainSettings(architecture="mnist_cnn", data="digits", run=folder / "run", epochs=epochs, seed=0)
    run = train(settings)
    print(f"{run.report.accuracy:.2%} of {run.report.count} test images are right")  # noqa: T201

    # 2. A run can be read again at any time: its network, and the very images that it was tested on.
    test = run.load_data().test
    evaluation = evaluate_module(run.load_module(), test, run.normalisation)
    assert evaluation.accuracy == run.report.accuracy

    # 3. Export. Nothing is written to the repository unless every check has passed.
    export_run(run.folder, folder / "models", "digits")
    print(f"next: conveyor serve {folder / 'models'}")  # noqa: T201
    return run


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "example"))
