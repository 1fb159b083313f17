"""Recipes: how a network is trained. A recipe is complete: nothing outside it and the seeds decides the weights."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt

from conveyor_trainer.errors import UnknownNameError


class Recipe(BaseModel):
    """Every setting of the optimisation. Sizes in images, shares between 0 and 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: PositiveInt = 5
    batch_size: PositiveInt = 64
    # Share of the training images kept for validation: the best epoch is chosen on them.
    held_out: float = Field(default=0.2, ge=0, lt=1)
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    learning_rate: PositiveFloat = 0.001
    weight_decay: float = Field(default=0.0, ge=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)  # sgd only
    schedule: Literal["constant", "cosine", "one_cycle"] = "constant"
    warm_up: float = Field(default=0.0, ge=0, lt=1)  # share of all steps in which the rate rises
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    # Weights are averaged with this decay a step, and the average is what is kept. None: no averaging.
    ema_decay: float | None = Field(default=None, gt=0, lt=1)
    gradient_clip: PositiveFloat | None = None  # largest norm of the gradient
    # A small data set is passed over several times an epoch until it has about so many steps.
    minimum_steps_per_epoch: PositiveInt = 1


RECIPES: dict[str, Recipe] = {
    # As the textbooks do it.
    "article": Recipe(),
    # Nearly all training images, a rate that rises and falls once, averaged weights.
    "default": Recipe(
        batch_size=64,
        held_out=0.05,
        optimizer="adamw",
        learning_rate=0.003,
        weight_decay=0.01,
        schedule="one_cycle",
        warm_up=0.2,
        label_smoothing=0.05,
        ema_decay=0.99,
        minimum_steps_per_epoch=100,
    ),
}


def find_recipe(name: str) -> Recipe:
    """The recipe of that name. Raises UnknownNameError with the nearest match."""
    if name in RECIPES:
        return RECIPES[name]
    matches = get_close_matches(name, RECIPES, n=1, cutoff=0.4)
    hint = f" (did you mean {matches[0]!r}?)" if matches else ""
    raise UnknownNameError(f"there is no recipe named {name!r}{hint}; recipes are {', '.join(RECIPES)}")
