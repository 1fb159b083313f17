"""A model's labels beside those of a data set: the order says which output is which."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor_exporter.errors import ExportError

if TYPE_CHECKING:
    from conveyor_trainer.data import DataSet


def check_labels(ours: tuple[str, ...], data: DataSet) -> None:
    """Raises ExportError unless the labels are the data set's, in its order."""
    if ours != data.labels:
        raise ExportError(
            f"the model's {len(ours)} labels ({', '.join(ours[:5])}, ...) are not those of {data.name} "
            f"({len(data.labels)}: {', '.join(data.labels[:5])}, ...), in this order; choose the data set that it was "
            "trained for."
        )


def labels_for(given: tuple[str, ...], data: DataSet | None) -> tuple[str, ...]:
    """The labels that were given, or else the data set's. Raises ExportError when both are there and differ."""
    if data is None:
        return given
    if given:
        check_labels(given, data)
    return data.labels
