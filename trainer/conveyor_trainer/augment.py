"""Augmentation: what is done at random to the images of a batch before the network learns from them. By kornia.

Every random number comes from PyTorch's global generator, which the loop seeds for each step.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from conveyor_trainer.errors import RecipeError
from conveyor_trainer.recipe import Augmentation

Augmenter = Callable[[Tensor], Tensor]  # float32 N x C x H x W to the same, pixels in 0..1


def check_augmentation(augmentation: Augmentation, input_shape: tuple[int, ...]) -> None:
    """Raises RecipeError when the input, (C, H, W) or (C, L), cannot be changed in this way."""
    if len(input_shape) == 2:
        raise RecipeError("the recipe has augmentation, which is for images, but the input is a signal: leave it out")
    if input_shape[0] == 1 and (augmentation.saturation or augmentation.hue):
        raise RecipeError("the recipe changes saturation or hue, but the images are grey: leave both out")


def make_augmenter(augmentation: Augmentation) -> Augmenter:
    """Each image of a batch gets changes of its own. What comes in over an edge repeats the edge."""
    import kornia.augmentation as kornia

    steps: list[Augmenter] = []
    if augmentation.moves:
        steps.append(
            kornia.RandomAffine(
                degrees=augmentation.rotation,
                translate=(augmentation.translation, augmentation.translation),
                scale=(1 - augmentation.scale, 1 + augmentation.scale),
                shear=augmentation.shear,
                padding_mode="border",
                p=1.0,
            )
        )
    if augmentation.horizontal_flip:
        steps.append(kornia.RandomHorizontalFlip(p=augmentation.horizontal_flip))
    if augmentation.colours:
        steps.append(
            kornia.ColorJiggle(
                brightness=augmentation.brightness,
                contrast=augmentation.contrast,
                saturation=augmentation.saturation,
                hue=augmentation.hue,
                p=1.0,
            )
        )
    if augmentation.erasing:
        steps.append(kornia.RandomErasing(p=augmentation.erasing))

    def augment(pixels: Tensor) -> Tensor:
        for step in steps:
            pixels = step(pixels)
        return pixels

    return augment
