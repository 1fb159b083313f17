"""The learning rate as a function of the step alone, so that a resumed run needs no state to go on with it."""

from __future__ import annotations

from math import cos, pi

from conveyor_trainer.recipe import Recipe

_ONE_CYCLE_START = 1 / 25  # of the highest rate
_ONE_CYCLE_END = 1 / 10_000


def learning_rate(recipe: Recipe, step: int, total_steps: int) -> float:
    """The rate of step `step` (from 0) of `total_steps`: it rises during the warm-up, then the schedule rules."""
    warm_up_steps = recipe.warm_up * total_steps
    if step < warm_up_steps:
        return recipe.learning_rate * _risen(recipe, step, warm_up_steps)
    gone = (step - warm_up_steps) / max(1.0, total_steps - warm_up_steps)
    match recipe.schedule:
        case "constant":
            share = 1.0
        case "step":
            share = recipe.step_factor ** (step * recipe.epochs // total_steps // recipe.step_epochs)
        case "cosine":
            share = 1 - _ease(gone)
        case "one_cycle":
            share = 1 - (1 - _ONE_CYCLE_END) * _ease(gone)
    return recipe.learning_rate * share


def _risen(recipe: Recipe, step: int, warm_up_steps: float) -> float:
    if recipe.schedule == "one_cycle":
        return _ONE_CYCLE_START + (1 - _ONE_CYCLE_START) * _ease(step / warm_up_steps)
    return (step + 1) / (warm_up_steps + 1)


def _ease(share: float) -> float:
    """From 0 to 1 along half a cosine."""
    return (1 - cos(pi * share)) / 2
