"""A training that has run away: its weights, or what they answer, are no numbers any more."""

from __future__ import annotations

from math import isfinite
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list

from conveyor_trainer.checkpoint import LAST_FILE, Position
from conveyor_trainer.errors import TrainerError
from conveyor_trainer.evaluate import validate
from conveyor_trainer.job import Job
from conveyor_trainer.learner import Learner

_PROBED = 32  # training rows: enough to see whether any answer is left


def check_sound(job: Job, accelerator: Accelerator, learner: Learner, position: Position) -> None:
    """Before anything is kept. Raises TrainerError, in every process, where the last steps ruined the network: a loss
    is computed before its step, so that the loss of the step that ruins it is still a number."""
    problem = _problem(job, learner) if accelerator.is_main_process else None
    problem = broadcast_object_list([problem])[0]
    if problem is not None:
        raise _diverged(problem, position, position.step, job.checkpoints)


def check_loss(loss: float, name: str, position: Position, step: int, checkpoints: Path) -> None:
    """Raises TrainerError where it is no number."""
    if not isfinite(loss):
        raise _diverged(f"the {name} became {loss}", position, step, checkpoints)


def _problem(job: Job, learner: Learner) -> str | None:
    first = np.arange(len(job.data.train)) < _PROBED
    rows = job.data.train.only(first)
    for module in (learner.module, learner.kept):
        if not all(bool(torch.isfinite(tensor).all()) for tensor in module.state_dict().values()):
            return "weights became infinite or no numbers"
        if not isfinite(loss := validate(module, rows, job.normalisation).loss):
            return f"the loss became {loss}"
    return None


def _diverged(what: str, position: Position, step: int, checkpoints: Path) -> TrainerError:
    """What is said of it, and of what is left."""
    # The same steps lead to the same end, so there is no use in resuming.
    kept = (
        "the checkpoint from before is kept, but --resume would come to the same end"
        if (checkpoints / LAST_FILE).is_file()
        else "no checkpoint was written yet"
    )
    return TrainerError(
        f"{what} in epoch {position.epoch + 1} at step {step}: {kept}; start again with a lower learning rate or with "
        "gradient_clip in the recipe"
    )
