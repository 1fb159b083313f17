"""Training as a whole: settings in, a finished run folder out."""

from __future__ import annotations

from collections.abc import Callable

from accelerate import Accelerator

from conveyor_trainer.fit import fit
from conveyor_trainer.interruption import stop_on_signals
from conveyor_trainer.job import Job
from conveyor_trainer.prepare import prepare
from conveyor_trainer.processes import training_processes
from conveyor_trainer.progress import TrainingProgress
from conveyor_trainer.results import write_results
from conveyor_trainer.run import Run, load_run
from conveyor_trainer.run_files import EVENT_FOLDER
from conveyor_trainer.run_folder import check_folder, claim_folder
from conveyor_trainer.settings import TrainSettings


def _silent(line: str) -> None:
    """Nobody is listening."""


def train(settings: TrainSettings, tell: Callable[[str], None] = _silent) -> Run:
    """Trains and returns the finished run. Raises ConveyorError; TrainingStoppedError after Ctrl-C, with all saved.

    `tell` gets lines that a user should read before minutes are spent.
    """
    with training_processes() as accelerator:
        with accelerator.main_process_first():  # one process downloads, the others find the files
            job = prepare(settings)
        finished = check_folder(settings, job)
        accelerator.wait_for_everyone()
        if not finished:
            if job.head is not None and accelerator.is_main_process:
                tell(f"head: {job.head.name} is made anew, the rest begins with {settings.init_from}")
            _train(settings, job, accelerator)
    return load_run(settings.run)


def _train(settings: TrainSettings, job: Job, accelerator: Accelerator) -> None:
    main = accelerator.is_main_process
    if main and not settings.resume:
        claim_folder(settings, job)
    accelerator.wait_for_everyone()
    events = settings.run / EVENT_FOLDER if main and settings.events else None
    with stop_on_signals() as stop, TrainingProgress(job, shown=None if main else False, events=events) as progress:
        position = fit(job, accelerator, progress, stop, resume=settings.resume)
    if main:
        write_results(settings.run, job, position)
    if main and settings.pictures:
        from conveyor_trainer.pictures import draw_pictures

        draw_pictures(load_run(settings.run), job.data)
