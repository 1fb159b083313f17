"""A run's figures in words, for the terminal and for the page."""

from __future__ import annotations

from conveyor_trainer.report import RunReport
from conveyor_trainer.run import Run

_MOST_NAMED = 10  # classes


def headline_figures(run: Run) -> list[tuple[str, str]]:
    """Name and value of what matters most."""
    report = run.report
    rows = [("test rows" if run.task == "regression" else "test images", f"{report.count:,}")]
    rows += [(name, f"{value:.2%}") for name, value in _shares(report) if value is not None]
    rows += [(name, f"{value:.4g}") for name, value in _values(report) if value is not None]
    rows += [("training images/s", f"{report.images_per_second:,.0f}")]
    return rows


def per_class_table(report: RunReport) -> tuple[list[str], list[list[str]]]:
    """Heads and rows."""
    rows = [
        [entry.label, f"{entry.count:,}", *map(_share, (entry.precision, entry.recall, entry.f1))]
        for entry in report.per_class
    ]
    return ["class", "images", "precision", "recall", "F1"], rows


def untested_classes(report: RunReport) -> str:
    """The classes that the test split has no row of, in a sentence; empty where there are none."""
    labels = [entry.label for entry in report.per_class if not entry.count]
    if not labels:
        return ""
    more = ", ..." if len(labels) > _MOST_NAMED else ""
    return f"classes without a test row, of which nothing is known: {', '.join(labels[:_MOST_NAMED])}{more}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"


def _shares(report: RunReport) -> list[tuple[str, float | None]]:
    return [
        ("accuracy", report.accuracy),
        ("validation accuracy", report.validation_accuracy),
        ("calibration error", report.calibration_error),
    ]


def _values(report: RunReport) -> list[tuple[str, float | None]]:
    return [
        ("mean absolute error", report.mae),
        ("root of the mean squared error", report.rmse),
        ("R2", report.r2),
        ("loss", report.loss),
    ]
