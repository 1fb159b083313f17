"""Adopting anybody's ONNX classifier: checked, given a head that takes pixels, and a contract."""

from pathlib import Path

from conveyor_exporter.description import ExportOptions, ModelDescription
from conveyor_exporter.errors import ExportError
from conveyor_exporter.from_file import proof_of_file
from conveyor_exporter.model_input import ImageInput
from conveyor_exporter.publishing import ExportResult, conclude
from conveyor_exporter.repository import Destination
from conveyor_exporter.trial import Trial


def adopt(
    model: Path | str,
    description: ModelDescription,
    repository: Path | str,
    name: str,
    *,
    version: int | None = None,
    options: ExportOptions | None = None,
) -> ExportResult:
    """Writes REPOSITORY/NAME/VERSION/model.onnx from an ONNX file of images; the file itself is left as it is.

    The description says what the file does not: labels, preprocessing, whether it answers with logits. Raises as
    `export` does.
    """
    if not isinstance(description.input, ImageInput):
        raise ExportError("only models of images can be adopted; serve others through the tensor protocol.")
    model, options = Path(model), options or ExportOptions()
    destination = Destination.choose(Path(repository), name, version, options.force)
    trial = Trial(name=name, version=destination.version, options=options)
    trial.hold(lambda: proof_of_file(model, description, options))
    return conclude(trial, destination)
