"""Checkpoints: the position as JSON inside a safetensors file of the learner's state, replaced in one step."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ValidationError

from conveyor_trainer.errors import RunError
from conveyor_trainer.learner import Learner
from conveyor_trainer.metrics import EpochMetrics
from conveyor_trainer.weights import read_tensors, write_tensors

LAST_FILE = "last.safetensors"
BEST_FILE = "best.safetensors"
_VERSION = "3"


class Position(BaseModel):
    """How far training has come; changed in place as it goes on."""

    epoch: int = 0  # finished epochs
    step: int = 0  # finished steps of the present epoch
    images: int = 0  # of the present epoch
    loss_sum: float = 0.0
    correct: int = 0
    seconds: float = 0.0
    history: list[EpochMetrics] = []
    best_epoch: int = 0

    def start_epoch(self) -> None:
        """Counts from nothing again."""
        self.step, self.images, self.loss_sum, self.correct, self.seconds = 0, 0, 0.0, 0, 0.0

    def out_of_patience(self, patience: int | None) -> bool:
        """Whether the last `patience` epochs were no better than one before them."""
        return patience is not None and self.epoch - self.best_epoch >= patience

    @property
    def best(self) -> EpochMetrics | None:
        """The metrics of the best epoch so far."""
        return self.history[self.best_epoch - 1] if self.best_epoch else None


def save_checkpoint(folder: Path, learner: Learner, position: Position, run_key: str) -> None:
    """Replaces the last checkpoint. `run_key` ties it to its configuration, architecture and data."""
    metadata = {"version": _VERSION, "run_key": run_key, "position": position.model_dump_json()}
    write_tensors(folder / LAST_FILE, learner.tensors(), metadata)


def load_checkpoint(folder: Path, learner: Learner, run_key: str) -> Position:
    """Puts the learner into the saved state. Raises RunError when there is none or it is another run's."""
    path = folder / LAST_FILE
    if not path.is_file():
        raise RunError(f"there is no checkpoint at {path} to go on from: start again with --force")
    tensors, metadata = read_tensors(path)
    if metadata.get("version") != _VERSION or metadata.get("run_key") != run_key:
        raise RunError(
            f"the checkpoint {path} belongs to another configuration, architecture or data: "
            "resume with what the run was started with, or start again with --force"
        )
    try:
        position = Position.model_validate_json(metadata["position"])
        learner.load_tensors(tensors)
    except (KeyError, RuntimeError, ValidationError) as error:
        raise RunError(f"the checkpoint {path} is damaged: {error}; start again with --force") from error
    return position
