"""The learning rate as a function of the step alone, so that a resumed run needs no state to go on with it."""

from __future__ import annotations

from math import cos, pi

from conveyor_trainer.recipe import Recipe

_ONE_CYCLE_START = 1 / 25  # of the highest rate
_ONE_CYCLE_END = 1 / 10_000


def learning_rate(recipe: Recipe, step: int, total_steps: int) -> float:
    """The rate of step `step` (from 0) of `total_steps`."""
    peak = recipe.learning_rate
    warm_up_steps = recipe.warm_up * total_steps
    one_cycle = recipe.schedule == "one_cycle"
    if step < warm_up_steps:
        risen = step / warm_up_steps
        low = _ONE_CYCLE_START if one_cycle else 0.0
        return peak * (low + (1 - low) * _ease(risen)) if one_cycle else peak * (step + 1) / (warm_up_steps + 1)
    if recipe.schedule == "constant":
        return peak
    gone = (step - warm_up_steps) / max(1.0, total_steps - warm_up_steps)
    low = _ONE_CYCLE_END if one_cycle else 0.0
    return peak * (1 - (1 - low) * _ease(gone))


def _ease(share: float) -> float:
    """From 0 to 1 along half a cosine."""
    return (1 - cos(pi * share)) / 2
