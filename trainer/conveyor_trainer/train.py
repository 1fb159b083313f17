"""Training as a whole: settings in, a finished run folder out."""

from __future__ import annotations

import shlex
import shutil

from conveyor_contract.digests import sha256
from conveyor_trainer.architecture import Architecture
from conveyor_trainer.architecture_file import find_architecture
from conveyor_trainer.config import RunConfig
from conveyor_trainer.data import DataSet, load_data_set
from conveyor_trainer.errors import DataError, RunError
from conveyor_trainer.fit import Job, fit
from conveyor_trainer.interruption import stop_on_signals
from conveyor_trainer.normalise import measure_normalisation
from conveyor_trainer.progress import TrainingProgress
from conveyor_trainer.recipe import find_recipe
from conveyor_trainer.results import write_results
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
)
from conveyor_trainer.settings import TrainSettings
from conveyor_trainer.shapes import outputs
from conveyor_trainer.weights import write_whole


def train(settings: TrainSettings) -> Run:
    """Trains and returns the finished run. Raises ConveyorError; TrainingStoppedError after Ctrl-C, with all saved."""
    job = prepare(settings)
    finished = claim_folder(settings, job)
    if not finished:
        epochs = job.config.recipe.epochs
        with (
            stop_on_signals() as stop,
            TrainingProgress(epochs=epochs, steps_per_epoch=job.steps_per_epoch) as progress,
        ):
            position = fit(job, progress, stop, resume=settings.resume)
        write_results(settings.run, job, position)
    return load_run(settings.run)


def prepare(settings: TrainSettings) -> Job:
    """Everything that training needs, checked: recipe, architecture and data that fit together."""
    config = _config(settings)
    architecture = find_architecture(settings.architecture)
    data = load_data_set(
        config.data, config.data_dir, architecture.preprocessor(), seed=config.split_seed, held_out=config.held_out
    )
    architecture = _fitted(architecture, data)
    return Job(
        config=config,
        architecture=architecture,
        data=data,
        normalisation=measure_normalisation(data.train.images),
        checkpoints=settings.run / CHECKPOINT_FOLDER,
        run_key=sha256("/".join((configuration_digest(config), architecture.digest(), data.digest)).encode()),
        resume_command=_command(settings, "--resume"),
    )


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


def claim_folder(settings: TrainSettings, job: Job) -> bool:
    """Makes the run folder ours, with its plan written. True when the run to resume is finished already."""
    folder = settings.run
    if settings.resume:
        _check_same(read_config(folder), job.config)
        return (folder / REPORT_FILE).exists()
    if (folder / CONFIG_FILE).exists():
        if not settings.force:
            raise RunError(
                f"{folder} already holds a run: --resume goes on with it, --force replaces it, another --run keeps both"
            )
        for name in (REPORT_FILE, WEIGHTS_FILE, METRICS_FILE, CONFIG_FILE, ARCHITECTURE_FILE):
            (folder / name).unlink(missing_ok=True)
        shutil.rmtree(folder / CHECKPOINT_FOLDER, ignore_errors=True)
    try:
        (folder / CHECKPOINT_FOLDER).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"cannot make the run folder {folder}: {error}") from error
    write_whole(folder / ARCHITECTURE_FILE, architecture_text(job.architecture).encode())
    write_whole(folder / CONFIG_FILE, config_text(job.config).encode())
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
