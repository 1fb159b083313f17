"""A run's figures in words, for the terminal and for the page."""

from __future__ import annotations

from conveyor_trainer.report import RunReport
from conveyor_trainer.run import Run


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
        [entry.label, f"{entry.count:,}", f"{entry.precision:.2%}", f"{entry.recall:.2%}", f"{entry.f1:.2%}"]
        for entry in report.per_class
    ]
    return ["class", "images", "precision", "recall", "F1"], rows


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
