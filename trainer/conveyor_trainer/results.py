"""What a finished training leaves in its run folder: weights, the epochs' metrics and the report."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from conveyor_trainer.checkpoint import BEST_FILE, Position
from conveyor_trainer.class_figures import calibration_error, class_reports
from conveyor_trainer.evaluate import evaluate_module, evaluate_values
from conveyor_trainer.job import Job
from conveyor_trainer.metrics import metrics_text
from conveyor_trainer.network import build_network
from conveyor_trainer.provenance import machine, source_revision, versions
from conveyor_trainer.report import Digests, RunReport, Statistics
from conveyor_trainer.run_files import METRICS_FILE, REPORT_FILE, WEIGHTS_FILE, configuration_digest, report_text
from conveyor_trainer.weights import read_tensors, weights_digest, write_tensors, write_whole


def write_results(folder: Path, job: Job, position: Position) -> None:
    """weights.safetensors, metrics.csv and, last, report.json: its presence says that the run is finished."""
    tensors, _ = read_tensors(job.checkpoints / BEST_FILE)
    write_tensors(folder / WEIGHTS_FILE, tensors)
    module = build_network(job.architecture)
    module.load_state_dict(tensors)
    write_whole(folder / METRICS_FILE, metrics_text(position.history).encode())
    test = _test_figures(module, job)
    seconds = sum(metrics.seconds for metrics in position.history)
    images = sum(metrics.seconds * metrics.images_per_second for metrics in position.history)
    report = RunReport(
        **test,
        count=len(job.data.test),
        labels=job.data.labels,
        unreadable=job.data.unreadable,
        left_out=dict(job.data.left_out),
        epochs=position.epoch,
        best_epoch=position.best_epoch,
        validation_accuracy=position.best.validation_accuracy if position.best else None,
        normalisation=job.normalisation,
        statistics=_statistics(module, job),
        digests=Digests(
            weights=weights_digest(tensors),
            architecture=job.architecture.digest(),
            data=job.data.digest,
            configuration=configuration_digest(job.config),
        ),
        source_revision=source_revision(),
        versions=versions(),
        machine=machine(),
        train_seconds=seconds,
        images_per_second=images / seconds,
    )
    write_whole(folder / REPORT_FILE, report_text(report).encode())


def _test_figures(module: nn.Module, job: Job) -> dict[str, Any]:
    """The fields of the report that differ between classes and values."""
    if job.data.test.has_values:
        values = evaluate_values(module, job.data.test, job.normalisation)
        return {"loss": values.loss, **asdict(values.errors)}
    test = evaluate_module(module, job.data.test, job.normalisation)
    return {
        "loss": test.loss,
        "accuracy": test.accuracy,
        "per_class": class_reports(test, job.data.labels),
        "calibration_error": calibration_error(test),
        "confusion_matrix": tuple(tuple(int(n) for n in row) for row in test.confusion_matrix),
    }


def _statistics(module: nn.Module, job: Job) -> Statistics:
    data = job.data
    frequencies = histogram = np.zeros(0)
    if not data.train.has_values:
        frequencies = np.bincount(data.train.targets, minlength=len(data.labels)) / len(data.train)
        held_out = data.validation if len(data.validation) else data.test
        confidences = evaluate_module(module, held_out, job.normalisation).confidences
        histogram = np.histogram(confidences, bins=10, range=(0.0, 1.0))[0] / len(held_out)
    return Statistics(
        input_mean=job.normalisation.mean,
        input_standard_deviation=job.normalisation.standard_deviation,
        class_frequencies=tuple(frequencies.tolist()),
        confidence_histogram=tuple(histogram.tolist()),
    )
