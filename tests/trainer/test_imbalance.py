"""Classes of unequal size: rare ones weigh more, or are drawn as often as the others."""

from pathlib import Path

import numpy as np
import pytest
import torch

from conveyor_trainer.data import Split
from conveyor_trainer.errors import RecipeError
from conveyor_trainer.imbalance import class_weights, epoch_order
from conveyor_trainer.recipe import RECIPES
from conveyor_trainer.train import train
from tests.trainer.networks import TINY, tiny_settings

COUNTS = (160, 20, 20)
TRAIN = Split(rows=np.zeros((200, 1, 1, 1), dtype=np.uint8), targets=np.repeat(np.arange(3), COUNTS))
SAMPLER = RECIPES["article"].model_copy(update={"imbalance": "sampler"})


def test_every_class_weighs_alike() -> None:
    weights = class_weights(TRAIN, 3)
    assert (weights * torch.tensor(COUNTS)).tolist() == pytest.approx([200 / 3] * 3)


def test_every_class_is_drawn_alike() -> None:
    order = epoch_order(TRAIN, SAMPLER, 50, torch.Generator().manual_seed(0))
    assert len(order) == 50 * 200
    drawn = np.bincount(TRAIN.targets[order.numpy()])
    assert drawn / drawn.sum() == pytest.approx(np.full(3, 1 / 3), abs=0.02)
    again = epoch_order(TRAIN, SAMPLER, 50, torch.Generator().manual_seed(0))
    assert torch.equal(order, again)


def test_without_it_every_row_comes_once_a_pass() -> None:
    order = epoch_order(TRAIN, RECIPES["article"], 2, torch.Generator().manual_seed(0))
    assert sorted(order[:200].tolist()) == sorted(order[200:].tolist()) == list(range(200))


@pytest.fixture(scope="module")
def unequal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noisy pictures, one in twenty of them a little brighter: of another class."""
    random = np.random.default_rng(0)
    classes = (np.arange(600) % 20 == 0).astype(np.int64)
    pixels = np.clip(random.normal(100, 40, (600, 12, 12)) + 8 * classes[:, None, None], 0, 255).astype(np.uint8)
    path = tmp_path_factory.mktemp("unequal") / "data.npz"
    np.savez(path, x=pixels, y=classes)
    return path


def test_the_rare_class_is_found_more_often(unequal: Path, tmp_path: Path) -> None:
    found = {}
    for imbalance in ("none", "weights", "sampler"):
        settings = tiny_settings(
            tmp_path, data="arrays", data_dir=unequal, run=tmp_path / imbalance, imbalance=imbalance, learning_rate=0.01
        )
        (tmp_path / "tiny.yaml").write_text(TINY.replace("rate: 0.1", "rate: 0.0"))
        run = train(settings)
        assert run.config.recipe.imbalance == imbalance
        found[imbalance] = run.report.confusion_matrix[1][1]
    assert found["weights"] > found["none"]
    assert found["sampler"] > found["none"]


def test_values_have_no_classes_to_even_out(tmp_path: Path) -> None:
    settings = tiny_settings(tmp_path, imbalance="weights")
    (tmp_path / "tiny.yaml").write_text(TINY.replace(", activation: softmax", ""))
    with pytest.raises(RecipeError, match="imbalance weights evens out classes, but the network answers with values"):
        train(settings)
