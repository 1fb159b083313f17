"""Export, top to bottom: convert, prove, publish; or say what is wrong and leave the repository as it was."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import onnx
from torch import nn

from conveyor.v1 import model_pb2
from conveyor_contract.contract import row_shape_of
from conveyor_contract.model_file import ModelFile, write_contract
from conveyor_exporter.checks.candidate import Candidate, Proof
from conveyor_exporter.checks.registry import check_proof
from conveyor_exporter.contract_of import contract_of, output_spec, tool_versions
from conveyor_exporter.convert import Conversion, convert, example_rows
from conveyor_exporter.description import ExportOptions, ModelDescription
from conveyor_exporter.errors import ConversionError, RejectedError
from conveyor_exporter.from_run import read_run
from conveyor_exporter.reference import Reference, detached_copy, one_thread, probe
from conveyor_exporter.report import ExportReport
from conveyor_exporter.repository import MODEL_FILE, REPORT_FILE, Destination


@dataclass(frozen=True, kw_only=True)
class ExportResult:
    """A published version: its file, the contract inside, and the report beside it."""

    path: Path
    version: int
    contract: model_pb2.ModelContract
    report: ExportReport


def export(
    module: nn.Module,
    description: ModelDescription,
    repository: Path,
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
    destination = Destination.choose(Path(repository), name, version, options.force)
    trial = _Trial(name=name, version=destination.version, options=options)
    with one_thread():
        proof = trial.hold(module, description)
    report = trial.report()
    if proof is None or not report.ok:
        raise RejectedError(_rejection(report, trial.keep_rejected(report)))
    return _publish(trial.model, proof, destination, report, options)


def export_run(
    run_folder: Path,
    repository: Path,
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
    options = (options or ExportOptions()).with_rejected_dir(run_folder / "rejected")
    return export(trained.module, trained.description, repository, name, version=version, options=options)


@dataclass(kw_only=True)
class _Trial:
    """One candidate's way through the checks."""

    name: str
    version: int
    options: ExportOptions
    model: bytes = b""
    checks: list[model_pb2.Check] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def hold(self, module: nn.Module, description: ModelDescription) -> Proof | None:
        """Converts and checks; None when it came to no graph that can be run."""
        try:
            network = detached_copy(module)
            outputs = probe(network, description, example_rows(description))
            with self.phase("convert"):
                self.options.on_step("converting to ONNX")
                conversion = convert(network, description, self.options)
                self.model = conversion.model
            with self.phase("check"):
                proof = prepare_proof(
                    conversion, Reference(network=network, description=description), outputs, self.options
                )
                self.checks.extend(check_proof(proof, self.options.on_step))
            return proof
        except ConversionError as error:
            self.checks.append(model_pb2.Check(name=error.check, detail=str(error)))
        return None

    def report(self) -> ExportReport:
        return ExportReport(
            model_name=self.name,
            version=self.version,
            checks=tuple(self.checks),
            file_bytes=len(self.model),
            seconds=self.seconds,
            versions=tool_versions(),
        )

    def keep_rejected(self, report: ExportReport) -> Path | None:
        """Puts the refused graph, without a contract, and the report aside; returns where."""
        if self.options.rejected_dir is None:
            return None
        folder = self.options.rejected_dir / f"{self.name}-{self.version}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        if self.model:
            (folder / MODEL_FILE).write_bytes(self.model)
        report.write(folder / REPORT_FILE)
        return folder

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = time.perf_counter() - start


def prepare_proof(conversion: Conversion, reference: Reference, outputs: int, options: ExportOptions) -> Proof:
    """A converted model beside its network, ready for the checks."""
    description = reference.description
    candidate = Candidate(
        graph=onnx.load_from_string(conversion.model),
        source=conversion.model,
        input=description.input.spec(),
        output=output_spec(description, outputs),
        labels=description.labels or tuple(str(index) for index in range(outputs)),
        batch_sizes=options.batch_sizes,
        row_shape=row_shape_of(description.input.spec()),
        opset=options.opset,
    )
    return Proof(
        candidate=candidate,
        layer_outputs=conversion.layer_outputs,
        reference=reference,
        test=description.test,
        golden_rows=description.test if options.golden == "real" else None,
    )


def _publish(
    model: bytes, proof: Proof, destination: Destination, report: ExportReport, options: ExportOptions
) -> ExportResult:
    options.on_step("writing")
    description = proof.reference.description
    contract = contract_of(destination.name, proof.candidate, description, options, report.checks)
    with destination.fill() as folder:
        written: ModelFile = write_contract(model, folder / MODEL_FILE, contract, proof.golden)
        sealed = written.verify()
        report = replace(
            report, file_digest=written.file_digest, model_digest=written.model_digest, file_bytes=written.size
        )
        report.write(folder / REPORT_FILE)
    return ExportResult(
        path=destination.folder / MODEL_FILE, version=destination.version, contract=sealed, report=report
    )


def _rejection(report: ExportReport, kept: Path | None) -> str:
    first, *others = report.failures
    more = f" ({len(others)} more checks failed: {', '.join(check.name for check in others)})" if others else ""
    where = f"; the file and its report are in {kept}" if kept else ""
    return f"{report.model_name} was not exported, check {first.name} failed: {first.detail.rstrip('.')}{more}{where}."
