"""Copies images into folders by their label."""

import filecmp
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from conveyor_client import Classification
from conveyor_contract.errors import ConveyorError


def sort_into(folder: Path, answers: Iterable[Classification]) -> Iterator[Classification]:
    """Passes the answers on, each image copied to FOLDER/LABEL/ by then; one without an answer stays where it is.

    Nothing is overwritten: another image of the same name gets a number, the same image is not copied twice.
    Raises ConveyorError for a model that gives values, not labels, and for a folder that cannot be written.
    """
    for answer in answers:
        if answer.error is None:
            if not answer.predictions:
                raise ConveyorError(f"model {answer.model_name} gives values, not labels; there is nothing to sort by")
            _copy(Path(answer.image), folder / folder_name(answer.label))
        yield answer


def folder_name(label: str) -> str:
    """The label as the name of one folder inside the target, whatever signs it holds."""
    name = "".join("_" if sign in "/\\\0" else sign for sign in label).strip()
    return name if name.strip(".") else "_" * max(1, len(name))


def _copy(image: Path, folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        target, number = folder / image.name, 1
        while target.exists():
            if filecmp.cmp(image, target, shallow=False):
                return
            number += 1
            target = folder / f"{image.stem}-{number}{image.suffix}"
        shutil.copy2(image, target)
    except OSError as error:
        raise ConveyorError(f"cannot copy {image} into {folder}: {error.strerror or error}") from error
