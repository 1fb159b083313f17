"""Claiming a run folder: never over another run unless told so."""

from __future__ import annotations

import shutil

from conveyor_trainer.architecture import Architecture
from conveyor_trainer.architecture_file import dump_architecture
from conveyor_trainer.config import RunConfig
from conveyor_trainer.errors import RunError
from conveyor_trainer.job import Job
from conveyor_trainer.run_files import (
    ARCHITECTURE_FILE,
    CHECKPOINT_FOLDER,
    CONFIG_FILE,
    EVENT_FOLDER,
    METRICS_FILE,
    PAGE_FILE,
    PICTURE_FOLDER,
    REPORT_FILE,
    WEIGHTS_FILE,
    config_text,
    read_config,
)
from conveyor_trainer.settings import TrainSettings
from conveyor_trainer.weights import write_whole


def check_folder(settings: TrainSettings, job: Job) -> bool:
    """Changes nothing. True when the run to resume is finished already. Raises RunError when the folder is taken."""
    if settings.resume:
        _check_same(read_config(settings.run), job.config)
        return (settings.run / REPORT_FILE).exists()
    if (settings.run / CONFIG_FILE).exists() and not settings.force:
        raise RunError(
            f"{settings.run} already holds a run: --resume goes on with it, --force replaces it, "
            "another --run keeps both"
        )
    return False


def claim_folder(settings: TrainSettings, job: Job) -> None:
    """Empties the run folder of an earlier run and writes the plan of this one. Raises RunError."""
    folder = settings.run
    for name in (REPORT_FILE, WEIGHTS_FILE, METRICS_FILE, PAGE_FILE, CONFIG_FILE, ARCHITECTURE_FILE):
        (folder / name).unlink(missing_ok=True)
    for name in (CHECKPOINT_FOLDER, PICTURE_FOLDER, EVENT_FOLDER):
        shutil.rmtree(folder / name, ignore_errors=True)
    try:
        (folder / CHECKPOINT_FOLDER).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"cannot make the run folder {folder}: {error}") from error
    if isinstance(job.architecture, Architecture):
        write_whole(folder / ARCHITECTURE_FILE, dump_architecture(job.architecture).encode())
    write_whole(folder / CONFIG_FILE, config_text(job.config).encode())


def _check_same(started: RunConfig, wanted: RunConfig) -> None:
    before, now = (config.model_dump(exclude={"data_dir", "init_from"}) for config in (started, wanted))
    before |= before.pop("recipe")
    now |= now.pop("recipe")
    changed = [f"{key} {before[key]} (now {now[key]})" for key in before if before[key] != now[key]]
    if changed:
        raise RunError(f"the run to resume was started with {', '.join(changed)}: resume with the same settings")
