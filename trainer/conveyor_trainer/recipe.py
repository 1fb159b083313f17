"""Recipes: how a network is trained. A recipe is complete: nothing outside it and the seeds decides the weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, ValidationError

from conveyor_trainer.errors import RecipeError, UnknownNameError
from conveyor_trainer.nearest import nearest
from conveyor_trainer.yaml_nodes import compose, plain

Share = Annotated[float, Field(ge=0, lt=1)]
Degrees = Annotated[float, Field(ge=0, le=180)]


class Augmentation(BaseModel):
    """Random changes to each training image. Each figure is the largest change to either side; 0: none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rotation: Degrees = 0.0
    translation: Share = 0.0  # of the image's height and width
    scale: Share = 0.0  # 0.1: between 0.9 and 1.1 times as large
    shear: Degrees = 0.0
    horizontal_flip: float = Field(default=0.0, ge=0, le=1)  # how probable
    brightness: Share = 0.0
    contrast: Share = 0.0
    saturation: Share = 0.0  # colour images only, as hue
    hue: float = Field(default=0.0, ge=0, le=0.5)
    erasing: float = Field(default=0.0, ge=0, le=1)  # how probable it is that a rectangle is blanked

    @property
    def moves(self) -> bool:
        """Whether images are turned, shifted, scaled or sheared."""
        return bool(self.rotation or self.translation or self.scale or self.shear)

    @property
    def colours(self) -> bool:
        """Whether brightness or colours change."""
        return bool(self.brightness or self.contrast or self.saturation or self.hue)


class Recipe(BaseModel):
    """Every setting of the optimisation. Sizes in images, shares between 0 and 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: PositiveInt = 5
    batch_size: PositiveInt = 64  # of all processes together
    # Share of the training images kept for validation: the best epoch is chosen on them.
    held_out: Share = 0.2
    # Training stops once so many epochs in a row have not been better. None: it never stops early.
    patience: PositiveInt | None = None
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    learning_rate: PositiveFloat = 0.001  # the highest
    weight_decay: float = Field(default=0.0, ge=0)
    momentum: Share = 0.9  # sgd only, with Nesterov's step
    schedule: Literal["constant", "step", "cosine", "one_cycle"] = "constant"
    warm_up: Share = 0.0  # share of all steps in which the rate rises
    step_epochs: PositiveInt = 10  # step only: every so many epochs ...
    step_factor: float = Field(default=0.1, gt=0, lt=1)  # ... the rate is multiplied with this
    label_smoothing: Share = 0.0
    # Weights are averaged with this decay a step, and the average is what is kept. None: no averaging.
    ema_decay: float | None = Field(default=None, gt=0, lt=1)
    gradient_clip: PositiveFloat | None = None  # largest norm of the gradient
    # Classes of unequal size. weights: rare ones count more in the loss; sampler: they are drawn as often as others.
    imbalance: Literal["none", "weights", "sampler"] = "none"
    augmentation: Augmentation | None = None
    # A small data set is passed over several times an epoch until it has about so many steps.
    minimum_steps_per_epoch: PositiveInt = 1
    # bf16: convolutions and dense layers count in bfloat16 where that is quicker; weights stay float32.
    precision: Literal["fp32", "bf16"] = "fp32"
    channels_last: bool = False  # the order of the numbers in memory: quicker for most convolutions


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
        channels_last=True,
    ),
    # For mnist_cnn_best: small random moves, a rate that rises and falls once, weights averaged over a long time.
    # bf16 is quicker on processors that have its instructions, and slow on others: there give precision fp32.
    "mnist_best": Recipe(
        epochs=22,
        batch_size=128,
        held_out=0.0,
        optimizer="adamw",
        learning_rate=0.005,
        weight_decay=0.02,
        schedule="one_cycle",
        warm_up=0.2,
        label_smoothing=0.05,
        ema_decay=0.999,
        augmentation=Augmentation(rotation=12, translation=0.1, scale=0.12, shear=12),
        precision="bf16",
        channels_last=True,
    ),
}


def find_recipe(name_or_path: str) -> Recipe:
    """A recipe by name, or from a .yaml file of its settings. Raises UnknownNameError with the nearest match, or
    RecipeError."""
    if name_or_path in RECIPES:
        return RECIPES[name_or_path]
    if name_or_path.endswith((".yaml", ".yml")):
        return _read_recipe(Path(name_or_path))
    raise UnknownNameError(
        f"there is no recipe named {name_or_path!r}{nearest(name_or_path, RECIPES)}; "
        f"recipes are {', '.join(RECIPES)}, or give a .yaml file"
    )


def changed_recipe(recipe: Recipe, changes: dict[str, object]) -> Recipe:
    """The recipe with other settings. Raises RecipeError where they do not fit together."""
    return _validated(recipe.model_dump() | changes, "the recipe")


def _read_recipe(path: Path) -> Recipe:
    """The settings in the file; `base` names the recipe that gives the others (default: article)."""
    try:
        root = compose(path.read_text(encoding="utf-8"))
        content = plain(root) if root else None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecipeError(f"cannot read the recipe {path}: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise RecipeError(f"{path} must hold a recipe's settings, such as `epochs: 20`, one on a line")
    base = find_recipe(str(content.pop("base", "article")))
    return _validated(base.model_dump() | content, str(path))


def _validated(content: dict[str, object], source: str) -> Recipe:
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(str(part) for part in problem["loc"])
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            known = (Augmentation if "augmentation" in problem["loc"][:-1] else Recipe).model_fields
            message = f"there is no such setting{nearest(str(problem['loc'][-1]), known)}; there are {', '.join(known)}"
        raise RecipeError(f"{source}: {place + ': ' if place else ''}{message}") from error
