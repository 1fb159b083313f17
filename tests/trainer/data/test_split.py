"""Who is drawn: copies of a file stay together, and small classes are tested as far as that goes."""

from pathlib import Path

import numpy as np
import pytest

from conveyor_cli.main import main
from conveyor_trainer.data.split import Draw
from conveyor_trainer.errors import DataError
from conveyor_trainer.prepare import prepare
from conveyor_trainer.run import load_run
from tests.trainer.networks import TINY, tiny_settings


def _draw(names: list[str], share: float = 0.2, seed: int = 0) -> np.ndarray:
    draw = Draw(digest="", seed=seed, keys=tuple(names))
    return draw.share(np.zeros(len(names), dtype=np.int64), share, purpose="test")


@pytest.mark.parametrize("seed", range(5))
def test_copies_of_a_file_keep_together(seed: int) -> None:
    names = [f"pair {number // 2}" for number in range(6)] + [f"four {number // 4}" for number in range(16)]
    chosen = _draw(names, 0.3, seed)
    assert 4 <= chosen.sum() <= 9  # about 0.3 of 22
    for name in names:
        assert len({bool(mark) for mark, other in zip(chosen, names, strict=True) if other == name}) == 1


def test_three_pairs_give_one_to_test() -> None:
    assert _draw(["a", "a", "b", "b", "c", "c"]).sum() == 2


@pytest.mark.parametrize(("rows", "drawn"), [(1, 0), (2, 0), (3, 1), (4, 1), (5, 1), (8, 2), (100, 20)])
def test_three_rows_of_a_class_are_enough_to_test_it(rows: int, drawn: int) -> None:
    assert _draw([str(row) for row in range(rows)]).sum() == drawn


def test_copies_of_one_file_alone_all_train() -> None:
    assert _draw(["a"] * 9).sum() == 0


@pytest.fixture
def unequal(tmp_path: Path) -> Path:
    """Thirty rows of one class and two of another."""
    x = np.random.default_rng(0).integers(0, 256, (32, 12, 12), dtype=np.uint8)
    np.savez(tmp_path / "data.npz", x=x, y=np.array(["often"] * 30 + ["seldom"] * 2))
    return tmp_path / "data.npz"


def test_a_class_without_test_rows_is_named(unequal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY)
    arguments = ["train", str(tmp_path / "tiny.yaml"), "--data", "arrays", "--data-dir", str(unequal), "--epochs", "1"]
    assert main([*arguments, "--recipe", "article", "--no-pictures", "--run", str(tmp_path / "run")]) == 0
    assert "classes without a test row, of which nothing is known: seldom" in capsys.readouterr().out
    assert load_run(tmp_path / "run").report.per_class[1].recall is None
    assert main(["report", str(tmp_path / "run")]) == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "seldom" in line)
    assert line.split() == ["seldom", "0", "-", "-", "-"]


def test_patience_needs_rows_to_validate_on(unequal: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("held_out: 0.01\n")
    settings = tiny_settings(tmp_path, data="arrays", data_dir=unequal, recipe=str(tmp_path / "mine.yaml"), patience=1)
    with pytest.raises(DataError, match=r"held_out 0\.01 of the 26 training rows rounds to none in any class: raise"):
        prepare(settings)
    assert len(prepare(settings.model_copy(update={"patience": None})).data.validation) == 0


def test_a_given_validation_part_is_enough_for_patience(unequal: Path, tmp_path: Path) -> None:
    with np.load(unequal) as arrays:
        x, y = arrays["x"], arrays["y"]
    np.savez(tmp_path / "parts.npz", x_train=x, y_train=y, x_val=x, y_val=y, x_test=x, y_test=y)
    (tmp_path / "mine.yaml").write_text("held_out: 0\n")
    recipe, data_dir = str(tmp_path / "mine.yaml"), tmp_path / "parts.npz"
    assert prepare(tiny_settings(tmp_path, data="arrays", data_dir=data_dir, recipe=recipe, patience=1)).total_steps
    with pytest.raises(DataError, match=r"held_out 0 of the 26 training rows"):
        prepare(tiny_settings(tmp_path, data="arrays", data_dir=unequal, recipe=recipe, patience=1))
