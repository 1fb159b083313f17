"""From `conveyor export`'s settings to an export of a run or of the user's own module. Needs torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from conveyor.v1 import model_pb2
from conveyor_contract.errors import UsageError
from conveyor_contract.preprocessing import Preprocessor
from conveyor_exporter.description import ExportOptions, LabelledRows, ModelDescription
from conveyor_exporter.exporting import export, export_run
from conveyor_exporter.from_run import calibration_rows
from conveyor_exporter.model_input import ImageInput, ModelInput, SignalInput, image_input
from conveyor_exporter.module_factory import load_module
from conveyor_exporter.precision.gate import Limits
from conveyor_exporter.publishing import ExportResult
from conveyor_exporter.settings import ExportSettings

if TYPE_CHECKING:
    from conveyor_trainer.data import DataSet

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
    data = _data_set(settings, given)
    return ModelDescription(
        input=given,
        labels=tuple(label.strip() for label in settings.labels.split(",")) if settings.labels else (),
        task=model_pb2.TASK_REGRESSION if is_regression else model_pb2.TASK_CLASSIFICATION,
        returns=_RETURNS[settings.output],
        test=LabelledRows(rows=np.asarray(data.test.rows), targets=data.test.targets) if data else None,
        training=calibration_rows(data) if data else None,
    )


def _input(settings: ExportSettings) -> ModelInput:
    sizes = [int(size) for size in (settings.input or "").split("x")]
    mean = _numbers("mean", settings.mean)
    deviation = _numbers("standard-deviation", settings.standard_deviation)
    if len(sizes) == 3:
        return image_input((sizes[0], sizes[1], sizes[2]), mean, deviation)
    channels, length = sizes
    return SignalInput(
        channels=channels,
        length=length,
        mean=mean or (0.0,) * channels,
        standard_deviation=deviation or (1.0,) * channels,
    )


def _numbers(flag: str, text: str | None) -> tuple[float, ...]:
    try:
        return tuple(float(number) for number in text.split(",")) if text else ()
    except ValueError as error:
        raise UsageError(f"--{flag} is {text!r}; write one number per channel, as 0.49,0.48,0.45.") from error


def _data_set(settings: ExportSettings, given: ModelInput) -> DataSet | None:
    if settings.data is None:
        return None
    from conveyor_trainer.data import DataRequest, load_data_set
    from conveyor_trainer.input_format import SignalFormat

    if isinstance(given, ImageInput):
        wanted: Preprocessor | SignalFormat = given.preprocessor
    else:
        wanted = SignalFormat(channels=given.channels, length=given.length)
    return load_data_set(
        DataRequest(
            name=settings.data,
            folder=settings.data_dir,
            input_format=wanted,
            task="regression" if settings.output == "values" else "classification",
        )
    )
