"""Which folders of `folder` are parts and which are classes, and what is said of files that are neither."""

import os
from pathlib import Path

import pytest

from conveyor_cli.main import main
from conveyor_trainer.data.folder_layout import find_parts, left_out
from conveyor_trainer.errors import DataError
from conveyor_trainer.run import load_run
from tests.trainer.networks import TINY
from tests.trainer.pictures import write_pictures


def _classes(folder: Path, count: int = 1) -> None:
    write_pictures(folder / "dark", count, brightness=60)
    write_pictures(folder / "bright", count, brightness=200)


@pytest.mark.parametrize("names", [("train", "val", "test"), ("Train", "VALID", "Test"), ("Training", "val", "test")])
def test_parts_go_by_their_names_in_any_case(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        _classes(tmp_path / name)
    parts = find_parts(tmp_path)
    assert [parts[part].folder.name for part in ("train", "validation", "test")] == list(names)
    assert list(parts["train"].classes) == ["bright", "dark"]


def test_two_folders_for_one_part(tmp_path: Path) -> None:
    for name in ("train", "val", "Valid"):
        _classes(tmp_path / name)
    with pytest.raises(DataError, match="holds Valid and val, which are the same part"):
        find_parts(tmp_path)


@pytest.mark.parametrize("names", [("train_set", "test_set"), ("Train-1", "cat"), ("test", "cat")])
def test_what_looks_like_a_part_is_no_class(tmp_path: Path, names: tuple[str, str]) -> None:
    for name in names:
        _classes(tmp_path / name)
    with pytest.raises(DataError, match=r"(train_set|test_set|Train-1|test) holds folders only and looks like a part"):
        find_parts(tmp_path)


def test_a_class_may_be_named_like_a_part_and_hold_folders(tmp_path: Path) -> None:
    _classes(tmp_path)
    write_pictures(tmp_path / "train_steam", 1, brightness=100)
    write_pictures(tmp_path / "train_steam" / "old", 1, brightness=100)
    assert [len(images) for images in find_parts(tmp_path)["train"].classes.values()] == [1, 1, 2]


def test_a_class_name_that_is_no_text(tmp_path: Path) -> None:
    _classes(tmp_path)
    os.rename(tmp_path / "dark", os.fsencode(tmp_path) + b"/caf\xe9")
    with pytest.raises(DataError, match=r"caf\\xe9' is not UTF-8, so it can be no label: rename it"):
        find_parts(tmp_path)


def test_hidden_files_are_nothing(tmp_path: Path) -> None:
    _classes(tmp_path)
    write_pictures(tmp_path / "dark" / ".thumbnails", 3, brightness=60)
    (tmp_path / "dark" / ".DS_Store").touch()
    parts = find_parts(tmp_path)
    assert len(parts["train"].classes["dark"]) == 1
    assert left_out(tmp_path, parts.values()) == {}


def test_the_command_counts_the_files_that_are_no_images_of_a_class(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _classes(tmp_path / "data" / "train", 6)
    for name in ("labels.csv", "train/loose.png", "train/dark/a.heic", "train/dark/deeper/b.HEIC", "train/bright/note"):
        (tmp_path / "data" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "data" / name).write_bytes(b"")
    (tmp_path / "tiny.yaml").write_text(TINY)
    arguments = ["train", str(tmp_path / "tiny.yaml"), "--data", "folder", "--data-dir", str(tmp_path / "data")]
    arguments += ["--epochs", "1", "--recipe", "article", "--no-pictures", "--run", str(tmp_path / "run")]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "5 files of the data's folder were left out, being no images of a class: .heic 2, " in out
    assert load_run(tmp_path / "run").report.left_out == {".heic": 2, ".csv": 1, ".png": 1, "no suffix": 1}
