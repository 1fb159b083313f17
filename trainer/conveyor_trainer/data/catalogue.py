"""Every data set by its name, and the one way in: `load_data_set`."""

from __future__ import annotations

from collections.abc import Callable

from conveyor_trainer.data.arrays import load_arrays_source
from conveyor_trainer.data.cifar10 import load_cifar10_source
from conveyor_trainer.data.digits import load_digits_source
from conveyor_trainer.data.folder import load_folder_source
from conveyor_trainer.data.idx_sets import load_fashion_mnist_source, load_mnist_source
from conveyor_trainer.data.request import DataRequest
from conveyor_trainer.data.source import Source
from conveyor_trainer.data.split import DataSet, Draw
from conveyor_trainer.errors import DataError, UnknownNameError
from conveyor_trainer.nearest import nearest

_SOURCES: dict[str, Callable[[DataRequest], Source]] = {
    "digits": load_digits_source,
    "mnist": load_mnist_source,
    "fashion_mnist": load_fashion_mnist_source,
    "cifar10": load_cifar10_source,
    "folder": load_folder_source,
    "arrays": load_arrays_source,
}
_TEST_SHARE = 0.2  # where a data set has no test part of its own


def data_set_names() -> tuple[str, ...]:
    """Every name that load_data_set knows."""
    return tuple(_SOURCES)


def load_data_set(request: DataRequest) -> DataSet:
    """The data set, preprocessed and split. Raises UnknownNameError, DataError."""
    if request.name not in _SOURCES:
        raise UnknownNameError(
            f"there is no data set named {request.name!r}{nearest(request.name, _SOURCES)}; "
            f"data sets are {', '.join(_SOURCES)}"
        )
    source = _SOURCES[request.name](request)
    _check_task(source, request)
    return _split(source, request)


def _split(source: Source, request: DataRequest) -> DataSet:
    """Parts that the files do not give are drawn from the training part: first the test split, then validation."""
    draw = Draw(digest=source.digest, seed=request.split_seed, keys=source.keys)
    train, validation, test = source.train, source.validation, source.test
    if test is None:
        tests = draw.share(train.targets, _TEST_SHARE, purpose="test")
        train, test, draw = train.only(~tests), train.only(tests), draw.without(tests)
    if validation is None:
        validates = draw.share(train.targets, request.held_out, purpose="validation")
        train, validation = train.only(~validates), train.only(validates)
    if not len(train) or not len(test):
        raise DataError(
            f"{request.name} has {len(train)} rows to train on and {len(test)} to test on: give more, or hold out fewer"
        )
    return DataSet(
        name=request.name,
        labels=source.labels,
        train=train,
        validation=validation,
        test=test,
        digest=source.digest,
        unreadable=source.unreadable,
        left_out=source.left_out,
    )


def _check_task(source: Source, request: DataRequest) -> None:
    if request.task == "classification" and source.train.has_values:
        raise DataError(
            f"{request.name} holds values, but the architecture ends in softmax and answers with classes: end it with "
            "`dense: {units: classes}` for values"
        )
    if request.task == "regression" and not source.train.has_values:
        raise DataError(
            f"{request.name} holds classes, but the architecture answers with values: end it with softmax for classes"
        )
