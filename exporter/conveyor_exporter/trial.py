"""One candidate's way through conversion and checks, with its times."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from conveyor.v1 import model_pb2
from conveyor_exporter.checks.accuracy import ChangedLabel, changed_labels
from conveyor_exporter.checks.candidate import Proof
from conveyor_exporter.checks.registry import check_proof
from conveyor_exporter.description import ExportOptions, ModelDescription
from conveyor_exporter.errors import ConversionError, RunError
from conveyor_exporter.precision.choice import Choice, choose
from conveyor_exporter.report import ExportReport
from conveyor_exporter.tool_versions import tool_versions


@dataclass(kw_only=True)
class Trial:
    """Holds what comes out, also when it comes to nothing: `choice` is None where no fp32 file was proved."""

    name: str
    version: int
    options: ExportOptions
    model: bytes = b""
    description: ModelDescription | None = None
    choice: Choice | None = None
    checks: tuple[model_pb2.Check, ...] = ()
    changed_labels: tuple[ChangedLabel, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)

    def hold(self, make_proof: Callable[[], Proof]) -> None:
        """Converts, checks, and where that went well chooses the precision. Failures end up in the report."""
        try:
            with self._phase("convert"):
                self.options.on_step("converting to ONNX")
                proof = make_proof()
            self.model, self.description = proof.candidate.model, proof.reference.description
            with self._phase("check"):
                self.checks = tuple(check_proof(proof, self.options.on_step))
        except ConversionError as error:
            self.checks = (model_pb2.Check(name=error.check, detail=str(error)),)
            return
        if all(check.ok for check in self.checks):
            with self._phase("precision"):
                self.choice = choose(proof, self.checks, self.options)
            outcome = self.choice.outcome
            self.model, self.checks = outcome.candidate.model, outcome.checks
            self.changed_labels = outcome.changed_labels
        else:
            self.changed_labels = _changed_labels(proof)

    def report(self) -> ExportReport:
        return ExportReport(
            model_name=self.name,
            version=self.version,
            checks=self.checks,
            comparisons=self.choice.comparisons if self.choice else (),
            changed_labels=self.changed_labels,
            file_bytes=len(self.model),
            seconds=self.seconds,
            versions=tool_versions(),
        )

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = time.perf_counter() - start


def _changed_labels(proof: Proof) -> tuple[ChangedLabel, ...]:
    try:
        return changed_labels(proof)
    except (RunError, ValueError):  # a refused model may run for no batch, or give answers of another shape
        return ()
