"""`arrays`: images and signals, classes and values, from .npz and CSV files, and a clear word for each thing wrong."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conveyor.v1 import model_pb2
from conveyor_contract.preprocessing import Preprocessor
from conveyor_trainer.data import DataRequest, DataSet, load_data_set
from conveyor_trainer.errors import DataError
from conveyor_trainer.input_format import InputFormat, SignalFormat
from conveyor_trainer.task import Task

GREY = Preprocessor(height=4, width=4, colour_mode=model_pb2.COLOUR_MODE_GRAYSCALE)
SIGNAL = SignalFormat(channels=2, length=5)
RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (30, 8, 8), dtype=np.uint8)
SIGNALS = RANDOM.normal(0, 3, (30, 2, 5))
CLASSES = np.arange(30) % 3
VALUES = RANDOM.normal(0, 1, (30, 2))


def _load(path: Path, wanted: InputFormat = GREY, task: Task = "classification") -> DataSet:
    return load_data_set(DataRequest(name="arrays", folder=path, input_format=wanted, task=task, held_out=0.25))


def _npz(folder: Path, **arrays: Any) -> Path:
    np.savez_compressed(folder / "data.npz", **arrays)
    return folder / "data.npz"


def _csv(folder: Path, *lines: str) -> Path:
    (folder / "data.csv").write_text("\n".join(lines) + "\n")
    return folder / "data.csv"


def test_images_with_classes(tmp_path: Path) -> None:
    data = _load(_npz(tmp_path, x=PIXELS, y=CLASSES))
    assert data.labels == ("0", "1", "2")
    assert data.train.rows.shape[1:] == (4, 4, 1)
    assert (len(data.train), len(data.validation), len(data.test)) == (18, 6, 6)
    assert np.bincount(data.test.targets).tolist() == [2, 2, 2]


def test_signals_with_values(tmp_path: Path) -> None:
    data = _load(_npz(tmp_path, x=SIGNALS, y=VALUES), SIGNAL, "regression")
    assert data.labels == ()
    assert data.outputs == 2
    assert data.train.rows.dtype == data.train.targets.dtype == np.float32
    assert (len(data.train), len(data.validation), len(data.test)) == (18, 6, 6)
    found = {row.tobytes(): tuple(values) for row, values in zip(data.test.rows[:], data.test.targets, strict=True)}
    exact = SIGNALS.astype(np.float32)
    wanted = {row.tobytes(): tuple(values) for row, values in zip(exact, VALUES.astype(np.float32), strict=True)}
    assert found.items() <= wanted.items()


def test_named_classes_and_given_parts(tmp_path: Path) -> None:
    names = np.array(["ant", "bee", "cat"])[CLASSES]
    data = _load(_npz(tmp_path, x_train=PIXELS, y_train=names, x_test=PIXELS[:3], y_test=names[:3]))
    assert data.labels == ("ant", "bee", "cat")
    assert data.test.targets.tolist() == [0, 1, 2]
    numbered = _load(_npz(tmp_path, x=PIXELS, y=CLASSES, labels=np.array(["1", "2", "3"])))
    assert numbered.labels == ("1", "2", "3")
    assert numbered.train.targets.max() == 2


def test_numbers_that_are_not_counted_from_nought(tmp_path: Path) -> None:
    data = _load(_npz(tmp_path, x=PIXELS, y=CLASSES * 10 - 10))
    assert data.labels == ("-10", "0", "10")


def test_one_channel_may_be_left_out(tmp_path: Path) -> None:
    data = _load(_npz(tmp_path, x=SIGNALS[:, 0], y=CLASSES), SignalFormat(channels=1, length=5))
    assert data.train.rows.shape[1:] == (1, 5)


def test_csv_of_signals(tmp_path: Path) -> None:
    lines = [
        ",".join([*(f"{x:.3f}" for x in row.reshape(-1)), f"c{c}"]) for row, c in zip(SIGNALS, CLASSES, strict=True)
    ]
    data = _load(_csv(tmp_path, ",".join([*(f"x{i}" for i in range(10)), "class"]), *lines), SIGNAL)
    assert data.labels == ("c0", "c1", "c2")
    first = np.round(SIGNALS, 3).astype(np.float32)
    assert {row.tobytes() for row in data.test.rows[:]} <= {row.tobytes() for row in first}


def test_csv_of_pixels_in_files_of_their_own(tmp_path: Path) -> None:
    header = ",".join(["label", *(f"pixel{i}" for i in range(16))])
    for name in ("train", "val", "test"):
        lines = [",".join([str(c), *(str((c * 50 + i) % 256) for i in range(16))]) for c in (0, 1, 2)]
        (tmp_path / f"{name}.csv").write_text("\n".join([header, *lines]))
    data = _load(tmp_path)
    assert (len(data.train), len(data.validation), len(data.test)) == (3, 3, 3)
    assert np.asarray(data.test.rows)[2].reshape(-1).tolist() == [100 + i for i in range(16)]


def test_csv_of_several_values(tmp_path: Path) -> None:
    rows = [f"{i},{i + 1},{i * 2},{i * 3}" for i in range(10)]
    data = _load(_csv(tmp_path, "a,b,y_first,y_second", *rows), SignalFormat(channels=1, length=2), "regression")
    assert data.outputs == 2
    assert (data.test.targets[:, 1] == data.test.targets[:, 0] * 1.5).all()


def test_the_digest_is_of_the_numbers(tmp_path: Path) -> None:
    first = _load(_npz(tmp_path, x=PIXELS, y=CLASSES)).digest
    assert first == _load(_npz(tmp_path, x=PIXELS, y=CLASSES)).digest
    assert first != _load(_npz(tmp_path, x=PIXELS, y=CLASSES[::-1])).digest


NPZ: dict[str, tuple[dict[str, Any], InputFormat, Task, str]] = {
    "no x": (
        {"a": PIXELS},
        GREY,
        "classification",
        r"must hold the arrays x and y, or x_train and y_train; it holds a",
    ),
    "no y": ({"x": PIXELS}, GREY, "classification", "holds x but no y"),
    "too few answers": ({"x": PIXELS, "y": CLASSES[:-1]}, GREY, "classification", r"\[30, 8, 8\] and .* \[29\] do not"),
    "no rows": ({"x": PIXELS[:0], "y": CLASSES[:0]}, GREY, "classification", "holds no rows"),
    "one class": ({"x": PIXELS, "y": CLASSES * 0}, GREY, "classification", "holds one class only"),
    "fractions": ({"x": PIXELS, "y": CLASSES + 0.5}, GREY, "classification", "0.5 is no class: .* without softmax"),
    "one-hot": (
        {"x": PIXELS, "y": VALUES},
        GREY,
        "classification",
        r"shape \[30, 2\], but a classifier",
    ),
    "an unknown label": (
        {"x_train": PIXELS, "y_train": CLASSES, "x_test": PIXELS, "y_test": CLASSES + 1},
        GREY,
        "classification",
        r"x_test, y_test\) holds the label '3', which is none of the 3 that there are \(0, 1, 2\)",
    ),
    "a label without rows": (
        {"x": PIXELS, "y": CLASSES, "labels": np.array(["a", "b", "c", "d"])},
        GREY,
        "classification",
        "holds no row of the class d",
    ),
    "fewer labels than classes": (
        {"x": PIXELS, "y": CLASSES, "labels": np.array(["a", "b"])},
        GREY,
        "classification",
        "holds the label '2', which is none of the 2",
    ),
    "pixels of 0 to 1": ({"x": PIXELS / 255, "y": CLASSES}, GREY, "classification", "multiply them by 255"),
    "channels first": ({"x": np.zeros((9, 3, 8, 8)), "y": CLASSES[:9]}, GREY, "classification", "N x H x W x C"),
    "texts as inputs": ({"x": PIXELS.astype(str), "y": CLASSES}, GREY, "classification", "expected numbers"),
    "another signal": ({"x": SIGNALS[:, :, :4], "y": CLASSES}, SIGNAL, "classification", "are 2 x 4, .* takes 2 x 5"),
    "images for signals": ({"x": PIXELS, "y": CLASSES}, SIGNAL, "classification", "are 8 x 8, .* takes 2 x 5"),
    "no number in x": ({"x": SIGNALS * np.nan, "y": CLASSES}, SIGNAL, "classification", "row 0, channel 0, place 0"),
    "too large for float32": ({"x": SIGNALS * 1e200, "y": CLASSES}, SIGNAL, "classification", "float32 can hold"),
    "no number in y": ({"x": SIGNALS, "y": VALUES * np.inf}, SIGNAL, "regression", "answer in row 0, column 0"),
    "texts as values": ({"x": SIGNALS, "y": CLASSES.astype(str)}, SIGNAL, "regression", "answers with values"),
    "other values in test": (
        {"x_train": SIGNALS, "y_train": VALUES, "x_test": SIGNALS, "y_test": VALUES[:, :1]},
        SIGNAL,
        "regression",
        "holds 1 values a row, .* 2",
    ),
}


@pytest.mark.parametrize("name", NPZ)
def test_bad_npz_files(tmp_path: Path, name: str) -> None:
    arrays, wanted, task, words = NPZ[name]
    with pytest.raises(DataError, match=words) as caught:
        _load(_npz(tmp_path, **arrays), wanted, task)
    assert "\n" not in str(caught.value)
    assert "data.npz" in str(caught.value)


CSV: dict[str, tuple[list[str], Task, str]] = {
    "a bad cell": (["a,b,y", "1,2,0", "1,zwei,1"], "classification", r"line 3 column 'b': 'zwei' is not a number"),
    "an empty cell": (["a,b,y", "1,,0"], "classification", r"line 2 column 'b': '' is not a number"),
    "not a number": (["a,b,y", "1,nan,0"], "classification", r"line 2 column 'b': 'nan' is not a number"),
    "too large": (["a,b,y", "1,1e99,0"], "classification", r"line 2 column 'b': '1e99' is not a number"),
    "a bad value": (["a,b,y", "1,2,high"], "regression", r"line 2 column 'y': 'high' is not a number"),
    "an empty answer": (["a,b,y", "1,2, "], "classification", r"line 2 has an empty answer"),
    "a short line": (["a,b,y", "1,2,0", "1,2"], "classification", r"line 3 has 2 cells, the first line 3"),
    "no answers": (["a,b,c", "1,2,0"], "classification", r"must name one column of answers y, label, class or target"),
    "two answers": (["a,y,label", "1,2,0"], "classification", r"must name one column of answers"),
    "no header": (["1,2,0", "1,2,1"], "classification", r"it names '1', '2', '0'"),
    "no inputs": (["y", "1"], "classification", r"beside those of inputs"),
    "no rows": (["a,b,y"], "classification", r"holds no rows below its first line"),
    "nothing": ([], "classification", r"it names nothing"),
    "several classes": (["a,b,y_1,y_2", "1,2,0,1"], "classification", r"line 2 has 2 columns of answers"),
    "too few inputs": (["a,y", "1,0", "2,1"], "classification", r"are 1, .* takes 1 x 2"),
}


@pytest.mark.parametrize("name", CSV)
def test_bad_csv_files(tmp_path: Path, name: str) -> None:
    lines, task, words = CSV[name]
    with pytest.raises(DataError, match=words) as caught:
        _load(_csv(tmp_path, *lines), SignalFormat(channels=1, length=2), task)
    assert "data.csv" in str(caught.value)


def test_values_for_a_classifier_and_pixels_of_another_count(tmp_path: Path) -> None:
    rows = [",".join(["0" if i % 2 else "1", *["7"] * 9]) for i in range(4)]
    path = _csv(tmp_path, ",".join(["label", *(f"p{i}" for i in range(9))]), *rows)
    with pytest.raises(DataError, match=r"a row has 9 numbers, but the architecture takes images of 4 x 4 x 1 = 16"):
        _load(path)


def test_where_there_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is none"):
        _load(tmp_path)
    with pytest.raises(DataError, match="there is none"):
        _load(tmp_path / "absent")
    (tmp_path / "a.csv").write_text("")
    (tmp_path / "b.csv").write_text("")
    with pytest.raises(DataError, match="there is 2 such files, none of them named train"):
        _load(tmp_path)
    (tmp_path / "data.txt").write_text("")
    with pytest.raises(DataError, match=r"data\.txt is neither a \.npz nor a \.csv file"):
        _load(tmp_path / "data.txt")
    (tmp_path / "data.npz").write_bytes(b"PK\3\4 and then nothing")
    with pytest.raises(DataError, match=r"data\.npz is not a whole \.npz file"):
        _load(tmp_path / "data.npz")
    np.savez(tmp_path / "objects.npz", x=np.array([{}], dtype=object), y=CLASSES)
    with pytest.raises(DataError, match=r"objects\.npz is not a whole \.npz file"):
        _load(tmp_path / "objects.npz")
    np.save(tmp_path / "single.npy", CLASSES)
    (tmp_path / "single.npy").rename(tmp_path / "single.npz")
    with pytest.raises(DataError, match=r"single\.npz is not a whole \.npz file"):
        _load(tmp_path / "single.npz")
    (tmp_path / "latin.csv").write_bytes(b"a,y\n\xff,1\n")
    with pytest.raises(DataError, match=r"cannot read .*latin\.csv as CSV"):
        _load(tmp_path / "latin.csv")
