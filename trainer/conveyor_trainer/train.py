"""Training as a whole: settings in, a finished run folder out."""

from __future__ import annotations

import csv
import io
import shlex
import shutil
from pathlib import Path

import numpy as np

from conveyor_contract.digests import sha256
from conveyor_trainer.architecture import Architecture
from conveyor_trainer.architecture_file import find_architecture
from conveyor_trainer.checkpoint import BEST_FILE, EpochMetrics, Position
from conveyor_trainer.config import RunConfig
from conveyor_trainer.data import DataSet, load_data_set
from conveyor_trainer.errors import DataError, RunError
from conveyor_trainer.evaluate import Evaluation, evaluate_module
from conveyor_trainer.fit import Job, fit
from conveyor_trainer.interruption import stop_on_signals
from conveyor_trainer.module import build_module
from conveyor_trainer.normalise import measure_normalisation
from conveyor_trainer.progress import TrainingProgress
from conveyor_trainer.provenance import machine, source_revision, versions
from conveyor_trainer.recipe import find_recipe
from conveyor_trainer.report import ClassReport, Digests, RunReport, Statistics
from conveyor_trainer.run import Run, load_run
from conveyor_trainer.run_files import (
    ARCHITECTURE_FILE,
    CHECKPOINT_FOLDER,
    CONFIG_FILE,
    METRICS_FILE,
    REPORT_FILE,
    WEIGHTS_FILE,
    architecture_text,
    config_text,
    configuration_digest,
    read_config,
    report_text,
)
from conveyor_trainer.settings import TrainSettings
from conveyor_trainer.shapes import outputs
from conveyor_trainer.weights import read_tensors, weights_digest, write_tensors, write_whole


def train(settings: TrainSettings) -> Run:
    """Trains and returns the finished run. Raises ConveyorError; TrainingStoppedError after Ctrl-C, with all saved."""
    config = _config(settings)
    architecture = find_architecture(settings.architecture)
    data = load_data_set(
        config.data, config.data_dir, architecture.preprocessor(), seed=config.split_seed, held_out=config.held_out
    )
    architecture = _fitted(architecture, data)
    if _claim(settings, config):
        return load_run(settings.run)
    job = Job(
        config=config,
        architecture=architecture,
        data=data,
        normalisation=measure_normalisation(data.train.images),
        checkpoints=settings.run / CHECKPOINT_FOLDER,
        run_key=sha256("/".join((configuration_digest(config), architecture.digest(), data.digest)).encode()),
        resume_command=_command(settings, "--resume"),
    )
    with (
        stop_on_signals() as stop,
        TrainingProgress(epochs=config.recipe.epochs, steps_per_epoch=job.steps_per_epoch) as progress,
    ):
        if not settings.resume:
            _write_plan(settings.run, config, architecture)
        position = fit(job, progress, stop, resume=settings.resume)
    _write_results(settings.run, job, position)
    return load_run(settings.run)


def _config(settings: TrainSettings) -> RunConfig:
    recipe = find_recipe(settings.recipe)
    changes = {"epochs": settings.epochs, "batch_size": settings.batch_size}
    return RunConfig(
        architecture=settings.architecture,
        data=settings.data,
        data_dir=settings.data_dir,
        recipe_name=settings.recipe,
        recipe=recipe.model_copy(update={key: value for key, value in changes.items() if value is not None}),
        seed=settings.seed,
        split_seed=settings.split_seed,
    )


def _fitted(architecture: Architecture, data: DataSet) -> Architecture:
    """The architecture with as many outputs as the data has classes. Raises DataError where it is fixed otherwise."""
    fitted = architecture.with_classes(len(data.labels))
    if outputs(fitted) != len(data.labels):
        raise DataError(
            f"the architecture {architecture.name} answers with {outputs(fitted)} values, but {data.name} has "
            f"{len(data.labels)} classes: write `units: classes` in its last layer"
        )
    if not len(data.train):
        raise DataError(f"{data.name} has no training images left: hold out fewer")
    return fitted


def _claim(settings: TrainSettings, config: RunConfig) -> bool:
    """Makes sure that the run folder is ours to write to. True when the run to resume is finished already."""
    folder = settings.run
    taken = (folder / CONFIG_FILE).exists()
    if settings.resume:
        _check_same(read_config(folder), config)
        return (folder / REPORT_FILE).exists()
    if taken and not settings.force:
        raise RunError(
            f"{folder} already holds a run: --resume goes on with it, --force replaces it, another --run keeps both"
        )
    if taken:
        for name in (REPORT_FILE, WEIGHTS_FILE, METRICS_FILE, CONFIG_FILE, ARCHITECTURE_FILE):
            (folder / name).unlink(missing_ok=True)
        shutil.rmtree(folder / CHECKPOINT_FOLDER, ignore_errors=True)
    try:
        (folder / CHECKPOINT_FOLDER).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"cannot make the run folder {folder}: {error}") from error
    return False


def _check_same(started: RunConfig, wanted: RunConfig) -> None:
    before, now = (config.model_dump(exclude={"data_dir"}) for config in (started, wanted))
    before |= before.pop("recipe")
    now |= now.pop("recipe")
    changed = [f"{key} {before[key]} (now {now[key]})" for key in before if before[key] != now[key]]
    if changed:
        raise RunError(f"the run to resume was started with {', '.join(changed)}: resume with the same settings")


def _command(settings: TrainSettings, *extra: str) -> str:
    words = ["conveyor", "train", settings.architecture]
    for field, value in settings.model_dump(exclude_defaults=True, exclude={"architecture", "resume", "force"}).items():
        words += [f"--{field.replace('_', '-')}", str(value)]
    return shlex.join([*words, *extra])


def _write_plan(folder: Path, config: RunConfig, architecture: Architecture) -> None:
    write_whole(folder / ARCHITECTURE_FILE, architecture_text(architecture).encode())
    write_whole(folder / CONFIG_FILE, config_text(config).encode())


def _write_results(folder: Path, job: Job, position: Position) -> None:
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
