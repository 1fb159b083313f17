"""From a trained PyTorch network to one ONNX file that carries the proof of its own correctness.

    from conveyor_exporter import LabelledRows, ModelDescription, export, image_input

The names are loaded when they are first used: importing the package alone needs neither torch nor onnx.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from conveyor_exporter.adopting import adopt
    from conveyor_exporter.description import ExportOptions, LabelledRows, ModelDescription
    from conveyor_exporter.errors import ExportError, RejectedError
    from conveyor_exporter.exporting import export, export_run
    from conveyor_exporter.model_input import ImageInput, SignalInput, image_input
    from conveyor_exporter.precision.gate import Limits
    from conveyor_exporter.publishing import ExportResult

__all__ = [
    "ExportError",
    "ExportOptions",
    "ExportResult",
    "ImageInput",
    "LabelledRows",
    "Limits",
    "ModelDescription",
    "RejectedError",
    "SignalInput",
    "adopt",
    "export",
    "export_run",
    "image_input",
]

_MODULES = {
    "ExportError": "errors",
    "ExportOptions": "description",
    "ExportResult": "publishing",
    "ImageInput": "model_input",
    "LabelledRows": "description",
    "Limits": "precision.gate",
    "ModelDescription": "description",
    "RejectedError": "errors",
    "SignalInput": "model_input",
    "adopt": "adopting",
    "export": "exporting",
    "export_run": "exporting",
    "image_input": "model_input",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
