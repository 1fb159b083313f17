"""The same seed gives the same weights, also where a network draws from Python's or numpy's generators."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from conveyor_trainer.seeds import forked_generators, seed_generators
from conveyor_trainer.settings import TrainSettings
from conveyor_trainer.train import train
from tests.trainer.stopping import train_and_stop

CODE = """
import random
import numpy as np
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 10)
        nn.init.constant_(self.layer.bias, random.random() + np.random.rand())

    def forward(self, x):
        if self.training:
            x = x * (1 + random.random()) + np.random.rand()
        return self.layer(x.flatten(1))
"""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainSettings:
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(CODE)
    return TrainSettings(
        module="net.py:Net",
        input="1x8x8",
        data="digits",
        run=tmp_path / "run",
        recipe="article",
        epochs=2,
        batch_size=128,
        pictures=False,
        events=False,
    )


def test_the_same_seed_gives_the_same_weights_also_after_a_stop(settings: TrainSettings, tmp_path: Path) -> None:
    random.seed(1)
    first = train(settings)
    random.seed(2)
    np.random.seed(3)
    torch.manual_seed(4)
    assert train(settings.model_copy(update={"run": tmp_path / "second"})).digests == first.digests
    stopped = settings.model_copy(update={"run": tmp_path / "stopped"})
    train_and_stop(stopped, 0.7)
    random.seed(5)
    assert train(stopped.model_copy(update={"resume": True})).digests == first.digests
    other = train(settings.model_copy(update={"run": tmp_path / "other", "seed": 1}))
    assert other.digests.weights != first.digests.weights


def test_generators_are_left_as_they_were() -> None:
    def draw() -> tuple[float, float, float]:
        return random.random(), np.random.rand(), float(torch.rand(()))

    seed_generators(1, torch.device("cpu"))
    drawn = draw()
    seed_generators(1, torch.device("cpu"))
    with forked_generators():
        seed_generators(2, torch.device("cpu"))
        assert draw() != drawn
    assert draw() == drawn
