"""Errors of export and of checking model files. Each message is one sentence that a person can act on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor_contract.errors import ConveyorError

if TYPE_CHECKING:
    from conveyor_exporter.report import ExportReport


class ExportError(ConveyorError):
    """Something outside the network stands in the way: the target folder, the factory, the data, the packages."""


class ConversionError(ExportError):
    """PyTorch could not turn the network into an ONNX graph. `check` names the promise that it breaks."""

    def __init__(self, check: str, message: str) -> None:
        super().__init__(message)
        self.check = check


class RunError(ExportError):
    """ONNX Runtime could not load or run the model."""


class RejectedError(ExportError):
    """At least one check failed; nothing was written into the repository. The report says all that was found."""

    def __init__(self, message: str, report: ExportReport) -> None:
        super().__init__(message)
        self.report = report
