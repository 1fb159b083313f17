"""What a finished training leaves in its run folder: weights, the epochs' metrics and the report."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from conveyor_trainer.checkpoint import BEST_FILE, EpochMetrics, Position
from conveyor_trainer.evaluate import Evaluation, evaluate_module
from conveyor_trainer.fit import Job
from conveyor_trainer.module import build_module
from conveyor_trainer.provenance import machine, source_revision, versions
from conveyor_trainer.report import ClassReport, Digests, RunReport, Statistics
from conveyor_trainer.run_files import METRICS_FILE, REPORT_FILE, WEIGHTS_FILE, configuration_digest, report_text
from conveyor_trainer.weights import read_tensors, weights_digest, write_tensors, write_whole


def write_results(folder: Path, job: Job, position: Position) -> None:
    """weights.safetensors, metrics.csv and, last, report.json: its presence says that the run is finished."""
    tensors, _ = read_tensors(job.checkpoints / BEST_FILE)
    write_tensors(folder / WEIGHTS_FILE, tensors)
    module = build_module(job.architecture)
    module.load_state_dict(tensors)
    write_whole(folder / METRICS_FILE, _metrics_csv(position.history).encode())
    test = evaluate_module(module, job.data.test, job.normalisation)
    held_out = job.data.validation if len(job.data.validation) else job.data.test
    confidences = evaluate_module(module, held_out, job.normalisation).confidences
    seconds = sum(metrics.seconds for metrics in position.history)
    images = sum(metrics.seconds * metrics.images_per_second for metrics in position.history)
    report = RunReport(
        accuracy=test.accuracy,
        loss=test.loss,
        count=test.count,
        per_class=_per_class(test, job.data.labels),
        confusion_matrix=tuple(tuple(int(n) for n in row) for row in test.confusion_matrix),
        labels=job.data.labels,
        epochs=job.config.recipe.epochs,
        best_epoch=position.best_epoch,
        validation_accuracy=position.best.validation_accuracy if position.best else None,
        normalisation=job.normalisation,
        statistics=_statistics(job, confidences),
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


def _statistics(job: Job, confidences: np.ndarray) -> Statistics:
    counts = np.bincount(job.data.train.labels, minlength=len(job.data.labels))
    histogram, _ = np.histogram(confidences, bins=10, range=(0.0, 1.0))
    return Statistics(
        input_mean=job.normalisation.mean,
        input_standard_deviation=job.normalisation.standard_deviation,
        class_frequencies=tuple((counts / counts.sum()).tolist()),
        confidence_histogram=tuple((histogram / histogram.sum()).tolist()),
    )


def _per_class(test: Evaluation, labels: tuple[str, ...]) -> tuple[ClassReport, ...]:
    matrix = test.confusion_matrix
    reports = []
    for index, label in enumerate(labels):
        right, count, answered = int(matrix[index, index]), int(matrix[index].sum()), int(matrix[:, index].sum())
        precision, recall = right / answered if answered else 0.0, right / count if count else 0.0
        f1 = 2 * right / (count + answered) if count + answered else 0.0
        reports.append(ClassReport(label=label, precision=precision, recall=recall, f1=f1, count=count))
    return tuple(reports)


def _metrics_csv(history: list[EpochMetrics]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(EpochMetrics.model_fields), lineterminator="\n")
    writer.writeheader()
    writer.writerows(metrics.model_dump() for metrics in history)
    return text.getvalue()
