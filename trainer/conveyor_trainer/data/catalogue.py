"""The data sets by name, and the one function that turns any of them into splits."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from conveyor_contract.preprocessing import Preprocessor
from conveyor_trainer.data.digits import load_digits_source
from conveyor_trainer.data.mnist import load_mnist_source
from conveyor_trainer.data.source import Source
from conveyor_trainer.data.split import DataSet, Images, Split, stratified_share
from conveyor_trainer.errors import UnknownNameError

_SOURCES: dict[str, Callable[[Path | None], Source]] = {
    "digits": load_digits_source,
    "mnist": load_mnist_source,
}
_TEST_SHARE = 0.2  # where a data set has no test part of its own


def data_set_names() -> tuple[str, ...]:
    """Every name that load_data_set knows."""
    return tuple(_SOURCES)


def load_data_set(
    name: str, data_dir: Path | None, preprocessor: Preprocessor, *, seed: int, held_out: float
) -> DataSet:
    """The data set, preprocessed and split. The test split depends on the data and `seed` alone, not on `held_out`,
    which is the share of the training images that validates. Raises UnknownNameError, DataError."""
    if name not in _SOURCES:
        matches = get_close_matches(name, _SOURCES, n=1, cutoff=0.4)
        hint = f" (did you mean {matches[0]!r}?)" if matches else ""
        raise UnknownNameError(f"there is no data set named {name!r}{hint}; data sets are {', '.join(_SOURCES)}")
    source = _SOURCES[name](data_dir)
    images, classes = _preprocessed(source.images, preprocessor), source.classes
    if source.test_images is None or source.test_classes is None:
        tests = stratified_share(classes, _TEST_SHARE, digest=source.digest, seed=seed, purpose="test")
        test = Split(images=images[tests], labels=classes[tests])
        images, classes = images[~tests], classes[~tests]
    else:
        test = Split(images=_preprocessed(source.test_images, preprocessor), labels=source.test_classes)
    validates = stratified_share(classes, held_out, digest=source.digest, seed=seed, purpose="validation")
    return DataSet(
        name=name,
        labels=source.labels,
        train=Split(images=images[~validates], labels=classes[~validates]),
        validation=Split(images=images[validates], labels=classes[validates]),
        test=test,
        digest=source.digest,
    )


def _preprocessed(images: np.ndarray, preprocessor: Preprocessor) -> Images:
    """uint8 (N, h, w) or (N, h, w, c) to (N, H, W, C), by the contract's one function."""
    if images.ndim == 3:
        images = images[..., None]
    rows = np.empty((len(images), *preprocessor.row_shape), dtype=np.uint8)
    for row, image in zip(rows, images, strict=True):
        row[...] = preprocessor.convert(image)
    return rows
