"""What a run was asked to do: everything that decides its weights, kept in the run's config.yaml."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from conveyor_trainer.recipe import Recipe


class RunConfig(BaseModel):
    """Fixed before the first step. Two runs with equal configurations on equal data give equal weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    architecture: str  # the name or path that was asked for
    data: str
    data_dir: Path | None = None
    recipe_name: str
    recipe: Recipe
    seed: int
    split_seed: int

    @property
    def held_out(self) -> float:
        """Share of the training images that is kept for validation."""
        return self.recipe.held_out
