"""`folder`: any image format and size, splits drawn or given, and a clear word for what is wrong with the files."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
import torch

from conveyor.v1 import model_pb2
from conveyor_cli.main import main
from conveyor_contract.preprocessing import Preprocessor
from conveyor_trainer.batches import Batches
from conveyor_trainer.checkpoint import Position
from conveyor_trainer.data import DataRequest, DataSet, Split, load_data_set
from conveyor_trainer.data.file_rows import FileRows
from conveyor_trainer.data.image_files import ImageFile, read_image_files
from conveyor_trainer.data.read_ahead import read_ahead
from conveyor_trainer.errors import DataError
from conveyor_trainer.input_format import SignalFormat
from conveyor_trainer.normalise import measure_normalisation
from conveyor_trainer.prepare import prepare
from conveyor_trainer.processes import training_processes
from conveyor_trainer.run import load_run
from tests.trainer.networks import TINY, tiny_settings
from tests.trainer.pictures import write_pictures

COLOUR = Preprocessor(height=6, width=8, colour_mode=model_pb2.COLOUR_MODE_RGB)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Ten dark and twenty bright pictures."""
    folder = tmp_path / "pictures"
    write_pictures(folder / "dark", 10, brightness=60)
    write_pictures(folder / "bright", 20, brightness=200)
    return folder


def _load(folder: Path | None, **settings: object) -> DataSet:
    request = {"name": "folder", "folder": folder, "input_format": COLOUR, "held_out": 0.25, **settings}
    return load_data_set(DataRequest(**request))  # type: ignore[arg-type]  # the tests' own settings


def test_every_format_and_size_becomes_a_row(pictures: Path) -> None:
    assert {path.suffix for path in pictures.rglob("*.*")} == {".jpg", ".png", ".webp", ".bmp", ".tif", ".gif"}
    data = _load(pictures)
    assert data.labels == ("bright", "dark")
    assert data.train.rows.shape[1:] == (6, 8, 3)
    for split in (data.train, data.validation, data.test):
        bright = np.asarray(split.rows).mean(axis=(1, 2, 3)) > 128
        assert np.array_equal(split.targets == 0, bright)


def test_splits_are_stratified_and_keep_to_the_seed(pictures: Path) -> None:
    data = _load(pictures)
    assert np.bincount(data.test.targets).tolist() == [4, 2]
    assert np.bincount(data.validation.targets).tolist() == [4, 2]
    assert np.bincount(data.train.targets).tolist() == [12, 6]
    assert _same(data, _load(pictures))
    assert not _same(data, _load(pictures, split_seed=1))


def test_splits_hang_on_the_files_contents_not_their_names(pictures: Path, tmp_path: Path) -> None:
    data = _load(pictures)
    copytree(pictures, tmp_path / "copy")
    for number, path in enumerate(sorted((tmp_path / "copy" / "dark").iterdir(), reverse=True)):
        path.rename(path.with_name(f"{number:03}{path.suffix}"))
    renamed = _load(tmp_path / "copy")
    assert renamed.digest == data.digest
    for name in ("train", "validation", "test"):
        assert set(map(bytes, renamed.split(name).rows[:])) == set(map(bytes, data.split(name).rows[:]))


def test_given_parts_are_taken(pictures: Path, tmp_path: Path) -> None:
    for part in ("train", "val", "test"):
        copytree(pictures, tmp_path / "parts" / part)
    write_pictures(tmp_path / "parts" / "test" / "dark", 3, brightness=70)
    data = _load(tmp_path / "parts")
    assert (len(data.train), len(data.validation), len(data.test)) == (30, 30, 33)
    assert data.digest != _load(tmp_path / "parts" / "train").digest


def test_a_class_may_be_named_test(pictures: Path) -> None:
    (pictures / "dark").rename(pictures / "test")
    assert _load(pictures).labels == ("bright", "test")


def test_rows_that_do_not_fit_into_memory_are_decoded_on_demand(pictures: Path) -> None:
    files = [ImageFile(path=path, part="train", label="") for path in sorted(pictures.rglob("*.*"))]
    kept = read_image_files(files, COLOUR, skip_unreadable=False)
    lazy = read_image_files(files, COLOUR, skip_unreadable=False, memory=0)
    assert isinstance(lazy.rows, FileRows)
    assert isinstance(kept.rows, np.ndarray)
    assert lazy.digests == kept.digests
    assert lazy.rows.shape == kept.rows.shape
    chosen = np.array([3, 1, 7])
    assert np.array_equal(lazy.rows[chosen], kept.rows[chosen])
    assert np.array_equal(lazy.rows[2:5], kept.rows[2:5])
    assert np.array_equal(np.asarray(lazy.rows.only(chosen)), kept.rows[chosen])
    files[3].path.unlink()
    with pytest.raises(DataError, match="could be read when training began"):
        lazy.rows[chosen]


def test_training_on_files_equals_training_in_memory(pictures: Path, tmp_path: Path) -> None:
    settings = tiny_settings(tmp_path, data="folder", data_dir=pictures, batch_size=4)
    job = prepare(settings)
    files = FileRows(sorted(pictures.rglob("*.*"))[: len(job.data.train)], COLOUR)
    in_memory = Split(rows=np.asarray(files), targets=job.data.train.targets)
    on_demand = Split(rows=files, targets=job.data.train.targets)
    found = []
    with training_processes() as accelerator:
        for split in (in_memory, on_demand):
            batches = Batches(replace(job, data=replace(job.data, train=split)), accelerator)
            found.append([batch.rows for batch in batches.of_epoch(Position(step=1))])
    assert len(found[0]) == job.steps_per_epoch - 1 == 4
    assert all(map(torch.equal, *found))


def test_a_thread_reads_ahead_and_its_errors_come_through() -> None:
    def items() -> Iterator[int]:
        yield from (1, 2)
        raise DataError("gone")

    ahead = read_ahead(items())
    assert [next(ahead), next(ahead)] == [1, 2]
    with pytest.raises(DataError, match="gone"):
        next(ahead)


def test_normalisation_of_a_folder(pictures: Path) -> None:
    train = _load(pictures).train
    normalisation = measure_normalisation(train)
    assert normalisation.mean == pytest.approx(np.asarray(train.rows).mean(axis=(0, 1, 2)) / 255)
    assert normalisation.standard_deviation == pytest.approx(np.asarray(train.rows).std(axis=(0, 1, 2)) / 255)


def _same(one: DataSet, other: DataSet) -> bool:
    return all(np.array_equal(one.split(name).rows, other.split(name).rows) for name in ("train", "validation", "test"))


def _break_two(folder: Path) -> None:
    for path in sorted((folder / "dark").iterdir())[:2]:
        path.write_bytes(path.read_bytes()[:40])


def _remove_dark(folder: Path) -> None:
    for path in (folder / "dark").iterdir():
        path.unlink()


def _one_class(folder: Path) -> None:
    _remove_dark(folder)
    (folder / "dark").rmdir()


def _other_classes(folder: Path) -> None:
    copytree(folder, folder.parent / "copy")
    for name in ("dark", "bright"):
        (folder / "train").mkdir(exist_ok=True)
        (folder / name).rename(folder / "train" / name)
    (folder.parent / "copy").rename(folder / "test")
    (folder / "test" / "dark").rename(folder / "test" / "dusky")


def _parts_and_classes(folder: Path) -> None:
    copytree(folder, folder.parent / "copy")
    (folder.parent / "copy").rename(folder / "train")


def _test_only(folder: Path) -> None:
    (folder / "test").mkdir()
    for name in ("dark", "bright"):
        (folder / name).rename(folder / "test" / name)


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "one class": (_one_class, r"holds one class only \(bright\)"),
    "an empty class": (_remove_dark, r"the class folder .*dark holds no image \(\.jpg"),
    "corrupt images": (_break_two, r"2 files cannot be used \(.*dark.*, .*dark.*--skip-unreadable"),
    "other classes in test": (_other_classes, r"the classes of .*test are not those of .*train: dark, dusky are"),
    "parts beside classes": (_parts_and_classes, r"holds bright, dark beside the folder train"),
    "test alone": (_test_only, "holds test but no train folder"),
}


@pytest.mark.parametrize("name", WRONG)
def test_bad_folders(pictures: Path, name: str) -> None:
    spoil, words = WRONG[name]
    spoil(pictures)
    with pytest.raises(DataError, match=words) as caught:
        _load(pictures)
    assert "\n" not in str(caught.value)


def test_one_corrupt_image_is_named_with_its_reason(pictures: Path) -> None:
    (pictures / "dark" / "a.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"dark/a\.png cannot be used: the image cannot be read \(8 bytes"):
        _load(pictures)


def test_unreadable_images_can_be_left_out_and_are_counted(pictures: Path) -> None:
    whole = _load(pictures)
    _break_two(pictures)
    data = _load(pictures, skip_unreadable=True)
    assert data.unreadable == 2
    assert whole.unreadable == 0
    assert len(data.train) + len(data.validation) + len(data.test) == 28
    for path in (pictures / "dark").iterdir():
        path.write_bytes(b"")
    with pytest.raises(DataError, match="no image of the class folder .*dark can be read"):
        _load(pictures, skip_unreadable=True)


def test_the_command_counts_what_it_left_out(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _break_two(pictures)
    (tmp_path / "tiny.yaml").write_text(TINY)
    arguments = ["train", str(tmp_path / "tiny.yaml"), "--data", "folder", "--data-dir", str(pictures), "--epochs", "1"]
    assert main([*arguments, "--run", str(tmp_path / "run")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: 2 files cannot be used")
    assert len(error.splitlines()) == 1
    assert main([*arguments, "--run", str(tmp_path / "run"), "--skip-unreadable"]) == 0
    assert "2 unreadable files were left out" in capsys.readouterr().out
    run = load_run(tmp_path / "run")
    assert run.report.unreadable == 2
    assert run.load_data().digest == run.digests.data
    assert main(["evaluate", str(tmp_path / "run"), "--data", "folder", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["accuracy"] == run.report.accuracy


def test_where_there_is_no_data(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="needs --data-dir"):
        _load(None)
    with pytest.raises(DataError, match="there is no folder .*absent: check --data-dir"):
        _load(tmp_path / "absent")
    with pytest.raises(DataError, match="holds 10 images but no class folders"):
        _load(pictures / "dark")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no class folders"):
        _load(tmp_path / "empty")


def test_what_does_not_fit_the_architecture(pictures: Path) -> None:
    with pytest.raises(DataError, match="holds images, but the architecture takes signals"):
        _load(pictures, input_format=SignalFormat(channels=1, length=9))
    with pytest.raises(DataError, match="folder holds classes, but the architecture answers with values"):
        _load(pictures, task="regression")
