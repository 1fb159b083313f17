"""Where a folder's images are: its parts, their class folders, and the files that are in none of them."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from conveyor_trainer.errors import DataError

# Of the formats that the contract's preprocessing decodes.
SUFFIXES = (".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
# The names that the parts go by, in any case, ours first.
_PARTS = {"train": ("train", "training"), "validation": ("validation", "val", "valid"), "test": ("test", "testing")}
_PART_OF = {name: part for part, names in _PARTS.items() for name in names}


@dataclass(frozen=True, kw_only=True)
class Part:
    """The class folders of one part."""

    folder: Path
    classes: dict[str, tuple[Path, ...]]  # the images of each class, in the order of their names


def find_parts(folder: Path) -> dict[str, Part]:
    """Those that are given; the folder itself as `train` where none is. Raises DataError where classes and parts
    cannot be told apart, or hold no images."""
    return {name: _list_part(path) for name, path in _part_folders(folder).items()}


def left_out(folder: Path, parts: Iterable[Part]) -> dict[str, int]:
    """How many files of each suffix are no images of a class; hidden ones do not count."""
    places = {folder, *(part.folder for part in parts)}
    loose = [path for place in places for path in place.iterdir() if path.is_file() and not path.name.startswith(".")]
    inside = [
        path for part in parts for name in part.classes for path in _files(part.folder / name) if not _is_image(path)
    ]
    return dict(Counter(path.suffix.lower() or "no suffix" for path in (*loose, *inside)).most_common())


def _part_folders(folder: Path) -> dict[str, Path]:
    paths = _sub_folders(folder)
    # A class may well be named "train" or "test": a part holds folders of its own.
    given = [path for path in paths if path.name.lower() in _PART_OF and _sub_folders(path)]
    found = {_PART_OF[path.name.lower()]: path for path in given}
    for path in given:
        if (other := found[_PART_OF[path.name.lower()]]) is not path:
            raise DataError(f"{folder} holds {path.name} and {other.name}, which are the same part: keep one of them")
    others = [path for path in paths if path not in given]
    if "train" not in found:
        if found and not others:
            raise DataError(f"{folder} holds {', '.join(path.name for path in given)} but no train folder")
        _check_no_parts(paths)
        return {"train": folder}
    if others:
        raise DataError(
            f"{folder} holds {', '.join(path.name for path in others[:5])} beside the folder {found['train'].name} of "
            "training classes: move them away, or all classes into one folder"
        )
    return found


def _check_no_parts(classes: Iterable[Path]) -> None:
    """`train_set/cat` is not meant to be a class named train_set."""
    for path in classes:
        first_word = re.split(r"[^a-z]", path.name.lower())[0]
        if first_word in _PART_OF and _sub_folders(path) and not any(map(_is_image, path.iterdir())):
            raise DataError(
                f"{path} holds folders only and looks like a part, not like a class: name the parts train, val and "
                "test, or put the images of the class right into its folder"
            )


def _list_part(folder: Path) -> Part:
    classes = {_label(path): tuple(filter(_is_image, _files(path))) for path in _sub_folders(folder)}
    if not classes:
        loose = sum(map(_is_image, folder.iterdir()))
        found = f"{loose} images but no class folders" if loose else "no class folders"
        raise DataError(f"{folder} holds {found}: put the images of each class into a sub-folder named after it")
    for name, images in classes.items():
        if not images:
            raise DataError(
                f"the class folder {folder / name} holds no image ({', '.join(SUFFIXES)}): fill it or remove it"
            )
    return Part(folder=folder, classes=classes)


def _label(folder: Path) -> str:
    try:
        folder.name.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"the name of the class folder {os.fsencode(folder)!r} is not UTF-8, so it can be no label: rename it"
        ) from error
    return folder.name


def _sub_folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _files(folder: Path) -> list[Path]:
    """In the order of their paths, deeper folders included, hidden ones left out."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in found if not any(name.startswith(".") for name in path.relative_to(folder).parts))


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
