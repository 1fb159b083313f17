"""Signals instead of images: one network answers with values (regression), another with classes.

    python trainer/examples/signals/train_on_signals.py [FOLDER]

makes up vibrations of a machine, as two sensors would give them, trains both networks on them and exports them into
FOLDER/models, ready for `conveyor serve FOLDER/models`. The same with commands, once the files are there:

    conveyor train speed.yaml --data arrays --data-dir FOLDER/speed.npz --run FOLDER/speed --export FOLDER/models
"""

import sys
from pathlib import Path

import numpy as np

from conveyor_exporter.exporting import export_run
from conveyor_trainer.run import Run
from conveyor_trainer.settings import TrainSettings
from conveyor_trainer.train import train

HERE = Path(__file__).parent
SIGNALS, LENGTH = 600, 64  # 64 samples in a second


def write_signals(folder: Path) -> None:
    """speed.npz: x [600, 2, 64] with the values y [600, 2], revolutions a minute and imbalance in grams.
    state.npz: the same x with names of classes."""
    random = np.random.default_rng(0)
    hertz, grams = random.uniform(2, 10, (SIGNALS, 1)), random.uniform(0.2, 2, (SIGNALS, 1))
    angle = 2 * np.pi * (hertz * np.arange(LENGTH) / LENGTH + random.uniform(0, 1, (SIGNALS, 1)))
    sideways, upwards = grams * np.sin(angle), 0.5 * grams * np.cos(angle)
    noise = random.normal(0, 0.05, (SIGNALS, 2, LENGTH))
    x = (np.stack([sideways, upwards], axis=1) + noise).astype(np.float32)
    state = np.select([hertz[:, 0] < 4, hertz[:, 0] < 8], ["starting", "running"], "racing")
    np.savez(folder / "speed.npz", x=x, y=np.hstack([60 * hertz, grams]))
    np.savez(folder / "state.npz", x=x, y=state)


def main(folder: Path, epochs: int | None = None) -> tuple[Run, Run]:
    """Trains and exports both networks; the recipe says how many epochs unless told."""
    folder.mkdir(parents=True, exist_ok=True)
    write_signals(folder)
    speed, state = (
        train(
            TrainSettings(
                architecture=str(HERE / f"{name}.yaml"),
                data="arrays",
                data_dir=folder / f"{name}.npz",
                run=folder / name,
                epochs=epochs,
            )
        )
        for name in ("speed", "state")
    )
    print(f"speed and imbalance: R2 {speed.report.r2:.4f}; state: {state.report.accuracy:.2%} right")  # noqa: T201
    for run in (speed, state):
        export_run(run.folder, folder / "models", run.architecture.name)
    print(f"next: conveyor serve {folder / 'models'}")  # noqa: T201
    return speed, state


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "example"))
