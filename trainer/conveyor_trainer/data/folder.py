"""`folder`: images of any size in one sub-folder a class, split by us or given as train/, val/ and test/."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from conveyor_contract.digests import sha256
from conveyor_contract.preprocessing import Preprocessor
from conveyor_trainer.data.image_files import ImageFile, ReadFiles, read_image_files
from conveyor_trainer.data.request import DataRequest
from conveyor_trainer.data.source import Source
from conveyor_trainer.data.split import Split
from conveyor_trainer.errors import DataError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
# The names that the parts go by, ours first.
_PARTS = {"train": ("train", "training"), "validation": ("validation", "val", "valid"), "test": ("test", "testing")}


@dataclass(frozen=True, kw_only=True)
class _Part:
    """The class folders of one part."""

    folder: Path
    classes: dict[str, tuple[Path, ...]]  # the images of each class, in the order of their names


def load_folder_source(request: DataRequest) -> Source:
    """Every image of the request's folder. Labels are the class folders' names, in order.

    Raises DataError for fewer than two classes, an empty class, parts whose classes differ, or unreadable images.
    """
    folder, wanted = _check(request)
    parts = {name: _list_part(path) for name, path in _part_folders(folder).items()}
    labels = tuple(parts["train"].classes)
    _check_classes(parts)
    files = [
        ImageFile(path=path, part=name, label=label)
        for name, part in parts.items()
        for label in part.classes
        for path in part.classes[label]
    ]
    read = read_image_files(files, wanted, skip_unreadable=request.skip_unreadable)
    _check_left(read, parts)
    train = [index for index, file in enumerate(read.files) if file.part == "train"]
    return Source(
        labels=labels,
        train=_split(read, "train", labels),
        validation=_split(read, "validation", labels) if "validation" in parts else None,
        test=_split(read, "test", labels) if "test" in parts else None,
        digest=_digest(read),
        keys=tuple(read.digests[index] for index in train),
        unreadable=read.unreadable,
    )


def _check(request: DataRequest) -> tuple[Path, Preprocessor]:
    if request.folder is None:
        raise DataError("the folder data set needs --data-dir, the folder that holds one sub-folder a class")
    if not request.folder.is_dir():
        raise DataError(f"there is no folder {request.folder}: check --data-dir")
    if not isinstance(request.input_format, Preprocessor):
        raise DataError(
            f"{request.folder} holds images, but the architecture takes signals: choose one whose input reads HxWxC"
        )
    return request.folder, request.input_format


def _part_folders(folder: Path) -> dict[str, Path]:
    """The parts that are given; the folder itself as `train` where none is."""
    paths = _sub_folders(folder)
    # A class may well be named "train" or "test": a part holds folders of its own.
    found = {
        part: path for part, names in _PARTS.items() for path in paths if path.name in names and _sub_folders(path)
    }
    others = [path.name for path in paths if path not in found.values()]
    if "train" not in found:
        if found and not others:
            raise DataError(f"{folder} holds {', '.join(path.name for path in found.values())} but no train folder")
        return {"train": folder}
    if others:
        raise DataError(
            f"{folder} holds {', '.join(others[:5])} beside the folder {found['train'].name} of training classes: "
            "move them away, or all classes into one folder"
        )
    return found


def _list_part(folder: Path) -> _Part:
    classes = {path.name: _images(path) for path in _sub_folders(folder)}
    if not classes:
        loose = len(_images(folder))
        found = f"{loose} images but no class folders" if loose else "no class folders"
        raise DataError(f"{folder} holds {found}: put the images of each class into a sub-folder named after it")
    for name, images in classes.items():
        if not images:
            raise DataError(
                f"the class folder {folder / name} holds no image ({', '.join(SUFFIXES)}): fill it or remove it"
            )
    return _Part(folder=folder, classes=classes)


def _sub_folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _images(folder: Path) -> tuple[Path, ...]:
    """In the order of their paths, deeper folders included, hidden files left out."""
    found = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and not path.name.startswith("."))
    return tuple(sorted(path for path in found if path.is_file()))


def _check_classes(parts: dict[str, _Part]) -> None:
    train = parts["train"]
    if len(train.classes) < 2:
        raise DataError(
            f"{train.folder} holds one class only ({', '.join(train.classes)}): a classifier needs two class folders "
            "or more"
        )
    for part in parts.values():
        if different := sorted(part.classes.keys() ^ train.classes.keys()):
            raise DataError(
                f"the classes of {part.folder} are not those of {train.folder}: {', '.join(different[:5])} "
                f"{'is' if len(different) == 1 else 'are'} in one of them only"
            )


def _check_left(read: ReadFiles, parts: dict[str, _Part]) -> None:
    """No class may be emptied by leaving out what cannot be read."""
    left = {(file.part, file.label) for file in read.files}
    for name, part in parts.items():
        for label in part.classes:
            if (name, label) not in left:
                raise DataError(f"no image of the class folder {part.folder / label} can be read")


def _split(read: ReadFiles, part: str, labels: Sequence[str]) -> Split:
    chosen = np.array([file.part == part for file in read.files])
    numbers = {label: number for number, label in enumerate(labels)}
    targets = np.array([numbers[file.label] for file in read.files], dtype=np.int64)
    return Split(rows=read.rows, targets=targets).only(chosen)


def _digest(read: ReadFiles) -> str:
    """Of what is in the files and which class they belong to; their names and places do not count."""
    lines = sorted(f"{file.part}/{file.label}/{digest}" for file, digest in zip(read.files, read.digests, strict=True))
    return sha256("\n".join(lines).encode())
