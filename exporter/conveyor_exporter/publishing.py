"""The end of a trial: a version in the repository, or a refused model put aside with its report."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from conveyor.v1 import model_pb2
from conveyor_contract.model_file import write_contract
from conveyor_exporter.contract_of import contract_of
from conveyor_exporter.description import ExportOptions, ModelDescription
from conveyor_exporter.errors import RejectedError
from conveyor_exporter.pictures import carry_pictures
from conveyor_exporter.precision.choice import Outcome
from conveyor_exporter.report import ExportReport
from conveyor_exporter.repository import MODEL_FILE, REPORT_FILE, Destination
from conveyor_exporter.trial import Trial


@dataclass(frozen=True, kw_only=True)
class ExportResult:
    """A published version: its file, the contract inside, and the report beside it."""

    path: Path
    version: int
    contract: model_pb2.ModelContract
    report: ExportReport


def conclude(trial: Trial, destination: Destination) -> ExportResult:
    """Publishes what passed every check. Raises RejectedError for the rest, once it is put aside."""
    report = trial.report()
    if trial.choice is None or trial.description is None or not report.ok:
        raise RejectedError(_rejection(report, _put_aside(trial, report)), report)
    return _publish(trial.choice.outcome, trial.description, destination, report, trial.options)


def _publish(
    outcome: Outcome,
    description: ModelDescription,
    destination: Destination,
    report: ExportReport,
    options: ExportOptions,
) -> ExportResult:
    options.on_step("writing")
    contract = contract_of(destination.name, outcome, description, options)
    with destination.fill() as folder:
        written = write_contract(outcome.candidate.model, folder / MODEL_FILE, contract, outcome.golden)
        sealed = written.verify()
        report = replace(
            report, file_digest=written.file_digest, model_digest=written.model_digest, file_bytes=written.size
        )
        report.write(folder / REPORT_FILE)
        carry_pictures(options.pictures, folder)
    return ExportResult(
        path=destination.folder / MODEL_FILE, version=destination.version, contract=sealed, report=report
    )


def _put_aside(trial: Trial, report: ExportReport) -> str:
    """Keeps the refused graph, without a contract, and its report; says where, or why it could not."""
    if trial.options.rejected_dir is None:
        return ""
    folder = trial.options.rejected_dir / f"{trial.name}-{trial.version}"
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        if trial.model:
            (folder / MODEL_FILE).write_bytes(trial.model)
        report.write(folder / REPORT_FILE)
    except OSError as error:
        return f"; the file and its report could not be kept in {folder} ({error.strerror or error})"
    return f"; the file and its report are in {folder}"


def _rejection(report: ExportReport, kept: str) -> str:
    first, *others = report.failures
    more = f" ({len(others)} more checks failed: {', '.join(check.name for check in others)})" if others else ""
    return f"{report.model_name} was not exported, check {first.name} failed: {first.detail.rstrip('.')}{more}{kept}."
