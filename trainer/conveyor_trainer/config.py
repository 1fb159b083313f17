"""What a run was asked to do: everything that decides its weights, kept in the run's config.yaml."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from conveyor_trainer.data.request import DataRequest
from conveyor_trainer.network import Network
from conveyor_trainer.recipe import Recipe
from conveyor_trainer.task import Task


class RunConfig(BaseModel):
    """Fixed before the first step. Two runs with equal configurations on equal data give equal weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    architecture: str | None  # the name or path that was asked for; None where a module takes its place
    module: str | None = None  # FILE_OR_MODULE:FACTORY, the input that it takes (C, H, W) or (C, L), and its task
    module_input: tuple[int, ...] | None = None
    module_task: Task = "classification"
    data: str
    data_dir: Path | None = None
    skip_unreadable: bool = False
    recipe_name: str
    recipe: Recipe
    seed: int
    split_seed: int
    init_from: Path | None = None  # a run or a .safetensors file whose weights, all but the head's, are the first ones
    init_digest: str | None = None  # "sha256:<hex>" of those weights
    freeze_epochs: int = 0  # so long only the head learns

    @property
    def held_out(self) -> float:
        """Share of the training images that is kept for validation."""
        return self.recipe.held_out

    def data_request(self, network: Network, data_dir: Path | None = None) -> DataRequest:
        """What is asked of the data set for this network; `data_dir` says where the files are by now."""
        return DataRequest(
            name=self.data,
            folder=data_dir or self.data_dir,
            input_format=network.input_format,
            task=network.task,
            split_seed=self.split_seed,
            held_out=self.held_out,
            skip_unreadable=self.skip_unreadable,
        )
