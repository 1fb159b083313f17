"""`folder`: images of any size in one sub-folder a class, split by us or given as train/, val/ and test/."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from conveyor_contract.digests import sha256
from conveyor_contract.preprocessing import Preprocessor
from conveyor_trainer.data.folder_layout import Part, find_parts, left_out
from conveyor_trainer.data.image_files import ImageFile, ReadFiles, read_image_files
from conveyor_trainer.data.request import DataRequest
from conveyor_trainer.data.source import Source
from conveyor_trainer.data.split import Split
from conveyor_trainer.errors import DataError


def load_folder_source(request: DataRequest) -> Source:
    """Every image of the request's folder. Labels are the class folders' names, in order.

    Raises DataError for fewer than two classes, an empty class, parts whose classes differ, or unreadable images.
    """
    folder, wanted = _check(request)
    parts = find_parts(folder)
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
        left_out=left_out(folder, parts.values()),
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


def _check_classes(parts: dict[str, Part]) -> None:
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


def _check_left(read: ReadFiles, parts: dict[str, Part]) -> None:
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
