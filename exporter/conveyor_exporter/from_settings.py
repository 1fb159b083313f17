"""From `conveyor export`'s settings to an export of a run or of the user's own module. Needs torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from conveyor.v1 import model_pb2
from conveyor_exporter.data_labels import labels_for
from conveyor_exporter.description import ExportOptions, ModelDescription
from conveyor_exporter.exporting import export, export_run
from conveyor_exporter.from_data import calibration_rows, load_data, test_rows
from conveyor_exporter.model_input import ModelInput, SignalInput, image_input
from conveyor_exporter.module_factory import load_module
from conveyor_exporter.precision.gate import Limits
from conveyor_exporter.publishing import ExportResult
from conveyor_exporter.settings import ExportSettings
from conveyor_exporter.typed_text import labels, numbers, sizes

_RETURNS = {
    "logits": model_pb2.MEANING_LOGITS,
    "probabilities": model_pb2.MEANING_PROBABILITIES,
    "values": model_pb2.MEANING_VALUES,
}


def export_from_settings(settings: ExportSettings, on_step: Callable[[str], None]) -> ExportResult:
    """Exports what the settings name. Raises as export and export_run do."""
    options = ExportOptions(
        max_batch_size=settings.max_batch_size,
        opset=settings.opset,
        golden=settings.golden,
        precision=settings.precision,
        limits=Limits(max_drop=settings.max_drop),
        unproved=settings.unproved,
        force=settings.force,
        rejected_dir=settings.rejected_dir,
        on_step=on_step,
    )
    if settings.run is not None:
        return export_run(
            settings.run,
            settings.to,
            settings.name,
            version=settings.version,
            data_dir=settings.data_dir,
            options=options,
        )
    assert settings.module is not None  # the settings' own rule
    description = _describe(settings)
    options = replace(options, rejected_dir=options.rejected_dir or Path("rejected"))
    network = load_module(settings.module)
    return export(network, description, settings.to, settings.name, version=settings.version, options=options)


def _describe(settings: ExportSettings) -> ModelDescription:
    given = _input(settings)
    is_regression = settings.output == "values"
    data = load_data(settings.data, settings.data_dir, given, is_regression) if settings.data else None
    return ModelDescription(
        input=given,
        labels=labels_for(labels(settings.labels), data),
        task=model_pb2.TASK_REGRESSION if is_regression else model_pb2.TASK_CLASSIFICATION,
        returns=_RETURNS[settings.output or "logits"],
        test=test_rows(data) if data else None,
        training=calibration_rows(data) if data else None,
    )


def _input(settings: ExportSettings) -> ModelInput:
    shape = sizes(settings.input or "")
    mean = numbers("mean", settings.mean)
    deviation = numbers("standard-deviation", settings.standard_deviation)
    if len(shape) == 3:
        return image_input((shape[0], shape[1], shape[2]), mean, deviation)
    channels, length = shape
    return SignalInput(
        channels=channels,
        length=length,
        mean=mean or (0.0,) * channels,
        standard_deviation=deviation or (1.0,) * channels,
    )
