"""Errors of export and of checking model files. Each message is one sentence that a person can act on."""

from conveyor_contract.errors import ConveyorError


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
    """At least one check failed; nothing was written into the repository."""
