"""Export, top to bottom: convert, prove, publish; or say what is wrong and leave the repository as it was."""

from dataclasses import replace
from pathlib import Path

from torch import nn

from conveyor_exporter.description import ExportOptions, ModelDescription
from conveyor_exporter.errors import ExportError
from conveyor_exporter.from_module import proof_of_module
from conveyor_exporter.from_run import read_run
from conveyor_exporter.precision.choice import hindrance
from conveyor_exporter.publishing import ExportResult, conclude
from conveyor_exporter.reference import one_thread
from conveyor_exporter.repository import Destination
from conveyor_exporter.trial import Trial


def export(
    module: nn.Module,
    description: ModelDescription,
    repository: Path | str,
    name: str,
    *,
    version: int | None = None,
    options: ExportOptions | None = None,
) -> ExportResult:
    """Writes REPOSITORY/NAME/VERSION/model.onnx once every check has passed; the module is left as it is.

    Raises RejectedError when a check fails (the file and its report then go to options.rejected_dir), UsageError or
    ExportError when the target or the input is at fault.
    """
    options = options or ExportOptions()
    reason = hindrance(options.precision, description, options)
    if reason is not None:
        raise ExportError(reason)
    destination = Destination.choose(Path(repository), name, version, options.force)
    trial = Trial(name=name, version=destination.version, options=options)
    with one_thread():
        trial.hold(lambda: proof_of_module(module, description, options))
    return conclude(trial, destination)


def export_run(
    run_folder: Path | str,
    repository: Path | str,
    name: str,
    *,
    version: int | None = None,
    data_dir: Path | None = None,
    options: ExportOptions | None = None,
) -> ExportResult:
    """Exports what training left in a folder, checked on the run's own test split. Raises as `export` does, and the
    trainer's errors for a folder that is no finished run. A refused model goes to RUN/rejected unless options say else.
    """
    run_folder = Path(run_folder)
    trained = read_run(run_folder, data_dir)
    options = options or ExportOptions()
    options = replace(
        options,
        rejected_dir=options.rejected_dir or run_folder / "rejected",
        pictures=options.pictures or run_folder / "pictures",
    )
    return export(trained.module, trained.description, repository, name, version=version, options=options)
