"""The figures of a run as they stand in report.json: results on the test split, digests, statistics, versions."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Normalisation(_Record):
    """(row * scale - mean) / standard_deviation, per channel; mean and deviation are of pixels in 0..1, or of signals
    as they are (scale 1). `value_*` are of the training values in regression, else empty."""

    mean: tuple[float, ...]
    standard_deviation: tuple[float, ...]
    scale: float = 1 / 255
    value_mean: tuple[float, ...] = ()
    value_standard_deviation: tuple[float, ...] = ()


class Digests(_Record):
    """Each "sha256:<hex>". The configuration's leaves paths out."""

    weights: str
    architecture: str
    data: str
    configuration: str


class Statistics(_Record):
    """Of the training rows, and of the network's confidence on held-out ones; for noticing drift later. The last two
    are empty for regression."""

    input_mean: tuple[float, ...]  # per channel, of pixels in 0..1 or of signals as they are
    input_standard_deviation: tuple[float, ...]
    class_frequencies: tuple[float, ...]  # shares, in the order of the labels
    confidence_histogram: tuple[float, ...]  # shares of held-out images in ten equal bins of the highest probability


class ClassReport(_Record):
    """One class of the test split. The three figures are None where the split has no row of the class."""

    label: str
    precision: float | None
    recall: float | None
    f1: float | None
    count: int  # images of this class


class RunReport(_Record):
    """Everything in report.json. Figures are of the test split: accuracy, calibration_error, per_class and
    confusion_matrix for classes, mae, rmse and r2 for values, None or empty otherwise."""

    accuracy: float | None = None
    mae: float | None = None
    rmse: float | None = None
    r2: float | None = None
    loss: float
    count: int
    calibration_error: float | None = None  # expected, over 15 bins of confidence; a share
    per_class: tuple[ClassReport, ...] = ()
    confusion_matrix: tuple[tuple[int, ...], ...] = ()  # [true class][answered class]
    labels: tuple[str, ...]
    unreadable: int = 0  # files that were left out of the data
    left_out: dict[str, int] = {}  # files of the data's folder that are no images of a class, by suffix
    epochs: int
    best_epoch: int  # counted from 1: whose weights were kept, by the validation split
    validation_accuracy: float | None  # None when nothing was held out
    normalisation: Normalisation
    statistics: Statistics
    digests: Digests
    source_revision: str
    versions: dict[str, str]
    machine: dict[str, str]
    train_seconds: float
    images_per_second: float
