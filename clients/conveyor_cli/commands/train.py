"""`conveyor train`: trains a network and, with --export, exports it in the same call."""

import sys
from typing import TYPE_CHECKING

from conveyor_contract.errors import UsageError
from conveyor_trainer.settings import TrainSettings

if TYPE_CHECKING:
    from conveyor_trainer.report import RunReport
    from conveyor_trainer.run import Run

SUMMARY = "train a network and leave a run behind"
EXAMPLE = "conveyor train mnist_cnn --data digits --run runs/digits"
Settings = TrainSettings
_MOST_KINDS = 5  # of files that are named


def run(settings: TrainSettings) -> None:
    """Trains, prints the results and, where asked to, exports. The trainer itself knows no exporter."""
    if settings.name is not None and settings.export is None:
        raise UsageError("--name names the model in a repository: give --export REPOSITORY with it")
    from conveyor_trainer.processes import is_main_process
    from conveyor_trainer.train import train

    finished = train(settings, tell=_tell)
    if not is_main_process():
        return
    _print_results(finished)
    if settings.export is None:
        sys.stdout.write(f"\nnext: {finished.next_command}\n")
        return
    from conveyor_cli.commands import export
    from conveyor_exporter.settings import ExportSettings

    name = settings.name or finished.architecture.name
    export.run(ExportSettings(run=finished.folder, to=settings.export, name=name))


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _print_results(finished: "Run") -> None:
    from conveyor_trainer.input_format import SignalFormat
    from conveyor_trainer.report_figures import untested_classes

    report = finished.report
    rows = "signals" if isinstance(finished.input_format, SignalFormat) else "images"
    held_out = f", {report.validation_accuracy:.2%} on validation" if report.validation_accuracy is not None else ""
    if report.unreadable:
        sys.stdout.write(f"{report.unreadable} unreadable files were left out\n")
    if report.left_out:
        sys.stdout.write(f"{_left_out(report)}\n")
    if untested := untested_classes(report):
        sys.stdout.write(f"{untested}\n")
    sys.stdout.write(
        f"{finished.architecture.name} on {finished.config.data}: {_figures(report, rows)} "
        f"(epoch {report.best_epoch} of {report.epochs} kept{held_out})\n"
        f"trained in {report.train_seconds:.1f} s at {report.images_per_second:,.0f} {rows}/s\n"
        f"the run is in {finished.folder}; `conveyor report {finished.folder}` shows its figures and pictures\n"
    )


def _figures(report: "RunReport", rows: str) -> str:
    if report.accuracy is not None:
        return f"{report.accuracy:.2%} of {report.count:,} test {rows} right"
    return f"mean absolute error {report.mae:.4g}, R2 {report.r2:.4f} over {report.count:,} test {rows}"


def _left_out(report: "RunReport") -> str:
    kinds = [f"{suffix} {count}" for suffix, count in report.left_out.items()]
    more = ", ..." if len(kinds) > _MOST_KINDS else ""
    return (
        f"{sum(report.left_out.values())} files of the data's folder were left out, being no images of a class: "
        f"{', '.join(kinds[:_MOST_KINDS])}{more}"
    )
