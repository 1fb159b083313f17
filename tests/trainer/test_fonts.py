"""Names in letters that matplotlib's own font lacks: another font, or a number; never boxes, never a warning."""

from pathlib import Path

import numpy as np
import pytest

from conveyor_cli.main import main
from conveyor_trainer.pictures import fonts
from conveyor_trainer.pictures.answers import draw_confusion_matrix
from conveyor_trainer.pictures.fonts import need_other_fonts, written
from conveyor_trainer.pictures.style import save_figure
from tests.trainer.networks import TINY

ARC = "\u2312 arc"  # in DejaVu Sans Mono, which comes with matplotlib, but not in DejaVu Sans
CAT = "\u732b"


def test_an_installed_font_with_the_letters_is_taken(tmp_path: Path) -> None:
    with written(["plain", ARC]) as names:
        assert names == ("plain", ARC)
        # Any warning fails the tests: "Glyph missing" is one.
        save_figure(draw_confusion_matrix(np.eye(2, dtype=np.int64), names), tmp_path / "matrix.png")
    assert need_other_fonts(["plain", ARC])
    assert not need_other_fonts(["plain", "\u00fcber", "\u03b1"])


def test_without_one_a_number_stands_for_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "_installed", dict)
    with written(["plain", CAT, "$a$ and $b"]) as names:
        assert names == ("plain", "class 1", "$a$ and $b")
        save_figure(draw_confusion_matrix(np.eye(3, dtype=np.int64), names), tmp_path / "matrix.png")


def test_the_page_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "_installed", dict)
    x = np.random.default_rng(0).integers(0, 256, (30, 12, 12), dtype=np.uint8)
    np.savez(tmp_path / "data.npz", x=x, y=np.array([CAT, "dog"] * 15))
    (tmp_path / "tiny.yaml").write_text(TINY)
    arguments = ["train", str(tmp_path / "tiny.yaml"), "--data", "arrays", "--data-dir", str(tmp_path / "data.npz")]
    assert (
        main([*arguments, "--recipe", "article", "--epochs", "1", "--run", str(tmp_path / "run"), "--no-events"]) == 0
    )
    assert main(["report", str(tmp_path / "run")]) == 0
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert CAT in page
    assert "had no font with the letters of a name, they say class 0" in page
