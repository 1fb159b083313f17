"""The batches of an epoch: all rows, and none alone where that can be avoided."""

from pathlib import Path

import numpy as np
import pytest

from conveyor_trainer.batches import Batches
from conveyor_trainer.checkpoint import Position
from conveyor_trainer.errors import RecipeError
from conveyor_trainer.prepare import prepare
from conveyor_trainer.processes import training_processes
from conveyor_trainer.train import train
from tests.trainer.networks import TINY, tiny_settings


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """21 rows to train on, and some to validate and to test."""
    pixels, classes = np.random.default_rng(0).integers(0, 256, (29, 12, 12), dtype=np.uint8), np.arange(29) % 2
    np.savez(
        tmp_path / "data.npz",
        x_train=pixels[:21],
        y_train=classes[:21],
        x_val=pixels[21:25],
        y_val=classes[21:25],
        x_test=pixels[25:],
        y_test=classes[25:],
    )
    return tmp_path / "data.npz"


@pytest.mark.parametrize(
    ("size", "sizes"), [(10, [10, 11]), (20, [21]), (21, [21]), (30, [30, 12]), (8, [8, 8, 5]), (1, [1] * 21)]
)
def test_a_single_row_joins_the_batch_before(rows: Path, tmp_path: Path, size: int, sizes: list[int]) -> None:
    job = prepare(tiny_settings(tmp_path, data="arrays", data_dir=rows, batch_size=size))
    assert job.steps_per_epoch == len(sizes)
    with training_processes() as accelerator:
        batches = Batches(job, accelerator)
        assert [len(batch) for batch in batches.of_epoch(Position())] == sizes
        assert [len(batch) for batch in batches.of_epoch(Position(step=1))] == sizes[1:]


def test_so_that_batch_norm_may_follow_flatten(rows: Path, tmp_path: Path) -> None:
    settings = tiny_settings(tmp_path, data="arrays", data_dir=rows, batch_size=10)
    (tmp_path / "tiny.yaml").write_text(TINY.replace("  - flatten\n", "  - flatten\n  - batch_norm\n"))
    assert train(settings).report.epochs == 1
    with pytest.raises(RecipeError, match="batch_norm_2 normalises each value over the rows of a batch: .* at least 2"):
        prepare(settings.model_copy(update={"batch_size": 1}))
