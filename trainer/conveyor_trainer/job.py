"""A training job: everything decided before the first step, and what follows from it by arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from pathlib import Path

from conveyor_trainer.config import RunConfig
from conveyor_trainer.data.split import DataSet
from conveyor_trainer.network import Network
from conveyor_trainer.report import Normalisation
from conveyor_trainer.schedule import learning_rate
from conveyor_trainer.transfer import Head


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is to be trained, on what, how, and where the checkpoints go."""

    config: RunConfig
    architecture: Network
    data: DataSet
    normalisation: Normalisation
    checkpoints: Path
    run_key: str  # equal for runs that must give equal weights
    resume_command: str
    head: Head | None = None  # the layer that is made anew where training begins with other weights

    @property
    def passes(self) -> int:
        """How often an epoch goes over the training rows: once, unless the set is small for the recipe."""
        recipe = self.config.recipe
        return max(1, ceil(recipe.minimum_steps_per_epoch * recipe.batch_size / len(self.data.train)))

    @property
    def steps_per_epoch(self) -> int:
        """The last batch of an epoch is what is left; a single row, over which nothing can be normalised, joins the
        batch before."""
        rows, size = self.passes * len(self.data.train), self.config.recipe.batch_size
        return ceil(rows / size) - int(size > 1 and rows > size and rows % size == 1)

    @property
    def total_steps(self) -> int:
        return self.config.recipe.epochs * self.steps_per_epoch

    def learning_rate(self, step: int) -> float:
        """Of a step counted from the start of training."""
        return learning_rate(self.config.recipe, step, self.total_steps)
