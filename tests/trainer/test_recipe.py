"""Recipes: schedules, files of settings, and settings that do not fit together."""

from itertools import pairwise
from pathlib import Path

import pytest
import torch

from conveyor_trainer.augment import check_augmentation, make_augmenter
from conveyor_trainer.errors import RecipeError, UnknownNameError
from conveyor_trainer.recipe import RECIPES, Augmentation, Recipe, find_recipe
from conveyor_trainer.schedule import learning_rate


def _rates(recipe: Recipe, steps: int = 100) -> list[float]:
    return [learning_rate(recipe, step, steps) for step in range(steps)]


def test_constant() -> None:
    assert set(_rates(RECIPES["article"])) == {0.001}


def test_cosine_with_warm_up() -> None:
    rates = _rates(Recipe(schedule="cosine", learning_rate=0.1, warm_up=0.1))
    assert max(rates) == pytest.approx(0.1)
    assert rates.index(max(rates)) == 10
    assert rates[-1] < 0.001
    assert all(later < earlier for earlier, later in pairwise(rates[10:]))


def test_one_cycle() -> None:
    rates = _rates(RECIPES["default"])
    assert rates[0] < rates[10] < rates[20] > rates[60] > rates[99]


def test_step() -> None:
    rates = _rates(Recipe(schedule="step", epochs=10, step_epochs=4, step_factor=0.5, learning_rate=1.0, warm_up=0.2))
    assert all(earlier < later for earlier, later in pairwise(rates[:20]))
    assert rates[20:40] == [1.0] * 20
    assert rates[40:80] == [0.5] * 40
    assert rates[80:] == [0.25] * 20


def test_a_recipe_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("base: default\nepochs: 20\naugmentation: {rotation: 10, translation: 0.1}\n")
    recipe = find_recipe(str(path))
    assert recipe.epochs == 20
    assert recipe.ema_decay == RECIPES["default"].ema_decay
    assert recipe.augmentation == Augmentation(rotation=10, translation=0.1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch: 20", r"mine.yaml: epoch: there is no such setting \(did you mean 'epochs'\?\)"),
        ("augmentation: {rotate: 4}", r"mine.yaml: augmentation.rotate: .* mean 'rotation'"),
        ("epochs: 2\nseed: 1\nepochs: 3", r"the key 'epochs' comes twice"),
        ("epochs: 0", r"mine.yaml: epochs: Input should be greater than 0"),
        ("augmentation: {rotation: 400}", r"mine.yaml: augmentation.rotation: Input should be less than"),
        ("- epochs", "must hold a recipe's settings"),
        ("epochs: [", "cannot read the recipe"),
    ],
)
def test_a_file_that_is_no_recipe(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=message) as caught:
        find_recipe(str(path))
    assert "\n" not in str(caught.value)


def test_unknown_recipe() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'article'"):
        find_recipe("articel")


def test_augmentation_changes_each_image_on_its_own_and_by_the_seed() -> None:
    augment = make_augmenter(
        Augmentation(rotation=20, translation=0.2, horizontal_flip=0.5, brightness=0.2, hue=0.1, erasing=0.5)
    )
    pixels = torch.rand(1, 3, 12, 12).expand(8, 3, 12, 12)
    torch.manual_seed(0)
    first = augment(pixels)
    torch.manual_seed(0)
    assert torch.equal(augment(pixels), first)
    assert not torch.equal(augment(pixels), first)
    assert first.shape == pixels.shape
    assert first.dtype == torch.float32
    assert len({image.sum().item() for image in first}) == 8


def test_an_augmentation_without_changes() -> None:
    pixels = torch.rand(2, 1, 5, 5)
    assert make_augmenter(Augmentation())(pixels) is pixels


@pytest.mark.parametrize(
    ("shape", "changes", "message"),
    [((1, 12, 12), {"hue": 0.1}, "the images are grey"), ((3, 100), {"rotation": 5}, "the input is a signal")],
)
def test_augmentation_that_the_input_cannot_have(
    shape: tuple[int, ...], changes: dict[str, float], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        check_augmentation(Augmentation.model_validate(changes), shape)


def test_small_moves_keep_most_of_an_image() -> None:
    pixels = torch.zeros(4, 1, 28, 28)
    pixels[:, :, 8:20, 8:20] = 1
    moved = make_augmenter(Augmentation(rotation=10, translation=0.08, scale=0.1, shear=10))(pixels)
    assert (moved - pixels).abs().mean() < 0.15
    assert moved.sum() == pytest.approx(pixels.sum().item(), rel=0.3)
