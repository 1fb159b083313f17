"""Stopping a training in the middle, as Ctrl-C would, and looking at what it leaves behind."""

import csv
from pathlib import Path

import pytest

from conveyor_trainer.errors import TrainingStoppedError
from conveyor_trainer.fit import fit
from conveyor_trainer.interruption import StopRequest
from conveyor_trainer.prepare import prepare
from conveyor_trainer.processes import training_processes
from conveyor_trainer.progress import TrainingProgress
from conveyor_trainer.run_folder import claim_folder
from conveyor_trainer.settings import TrainSettings


class StopAfter(StopRequest):
    """Asks for a stop once it has been looked at so many times: once a step."""

    def __init__(self, steps: int) -> None:
        self._left = steps

    @property
    def requested(self) -> bool:  # type: ignore[override]  # a property in place of a field
        self._left -= 1
        return self._left == 0


def train_and_stop(settings: TrainSettings, share: float) -> None:
    """Stops after this share of all steps."""
    job = prepare(settings)
    claim_folder(settings, job)
    stop = StopAfter(round(share * job.total_steps))
    with (
        training_processes() as accelerator,
        TrainingProgress(job) as progress,
        pytest.raises(TrainingStoppedError, match="go on with `conveyor train .* --resume`"),
    ):
        fit(job, accelerator, progress, stop)


def metrics_of(folder: Path) -> list[dict[str, str]]:
    """metrics.csv, a dictionary an epoch."""
    return list(csv.DictReader((folder / "metrics.csv").read_text().splitlines()))


def metrics_without_timings(folder: Path) -> list[dict[str, str]]:
    """What two runs of the same seed must have in common."""
    timings = ("seconds", "images_per_second")
    return [{key: row[key] for key in row if key not in timings} for row in metrics_of(folder)]
