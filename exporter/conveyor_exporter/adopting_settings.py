"""From `conveyor adopt`'s settings to an adopted file."""

from __future__ import annotations  # the stubs' enum types exist for the type checker only

from collections.abc import Callable
from pathlib import Path

import numpy as np

from conveyor.v1 import model_pb2
from conveyor_contract.errors import ContractError, ImageError, UsageError
from conveyor_contract.model_file import read_model_file
from conveyor_contract.preprocessing import Preprocessor
from conveyor_exporter.adopting import adopt
from conveyor_exporter.data_labels import labels_for
from conveyor_exporter.description import ExportOptions, ModelDescription
from conveyor_exporter.errors import ExportError
from conveyor_exporter.from_data import load_data, test_rows
from conveyor_exporter.model_input import PIXEL_SCALE, ImageInput, Rows
from conveyor_exporter.publishing import ExportResult
from conveyor_exporter.settings import AdoptSettings
from conveyor_exporter.typed_text import labels, numbers, sizes

_COLOURS = {1: model_pb2.COLOUR_MODE_GRAYSCALE, 3: model_pb2.COLOUR_MODE_RGB}
_RETURNS = {
    "logits": model_pb2.MEANING_LOGITS,
    "probabilities": model_pb2.MEANING_PROBABILITIES,
    "values": model_pb2.MEANING_VALUES,
}
_FILTERS = {
    "nearest": model_pb2.RESIZE_FILTER_NEAREST,
    "bilinear": model_pb2.RESIZE_FILTER_BILINEAR,
    "bicubic": model_pb2.RESIZE_FILTER_BICUBIC,
    "lanczos": model_pb2.RESIZE_FILTER_LANCZOS,
    "box": model_pb2.RESIZE_FILTER_BOX,
}


def adopt_from_settings(settings: AdoptSettings, on_step: Callable[[str], None]) -> ExportResult:
    """Adopts what the settings name. Raises as adopt does."""
    given = _image_input(settings)
    options = ExportOptions(
        max_batch_size=settings.max_batch_size,
        golden=settings.golden,
        force=settings.force,
        rejected_dir=settings.rejected_dir or Path("rejected"),
        on_step=on_step,
    )
    return adopt(
        settings.model,
        _describe(settings, given),
        settings.to,
        settings.name,
        version=settings.version,
        options=options,
    )


def _describe(settings: AdoptSettings, given: ImageInput) -> ModelDescription:
    is_regression = settings.output == "values"
    data = load_data(settings.data, settings.data_dir, given, is_regression) if settings.data else None
    return ModelDescription(
        input=given,
        labels=labels_for(labels(settings.labels), data),
        task=model_pb2.TASK_REGRESSION if is_regression else model_pb2.TASK_CLASSIFICATION,
        returns=_RETURNS[settings.output],
        test=test_rows(data) if data else None,
        samples=_images(settings.images, given.preprocessor),
        provenance=model_pb2.Provenance(
            weights_digest=read_model_file(settings.model).file_digest,
            data_set=data.name if data else "",
            data_digest=data.digest if data else "",
        ),
    )


def _image_input(settings: AdoptSettings) -> ImageInput:
    channels, height, width = sizes(settings.input)
    if channels not in _COLOURS:
        raise UsageError(f"--input is {settings.input}: {channels} channels; images have 1 (grayscale) or 3 (RGB).")
    mode = model_pb2.RESIZE_MODE_SHORTEST_SIDE if settings.shortest_side else model_pb2.RESIZE_MODE_STRETCH
    try:
        preprocessor = Preprocessor(
            height=height,
            width=width,
            colour_mode=_COLOURS[channels],
            resize_mode=mode,
            resize_filter=_FILTERS[settings.filter],
            shortest_side=settings.shortest_side or 0,
        )
    except ContractError as error:
        raise UsageError(str(error)) from error
    return ImageInput(
        preprocessor=preprocessor,
        mean=numbers("mean", settings.mean) or (0.0,) * channels,
        standard_deviation=numbers("standard-deviation", settings.standard_deviation) or (1.0,) * channels,
        scale=1.0 if settings.pixels == "0..255" else PIXEL_SCALE,
    )


def _images(paths: list[Path], preprocessor: Preprocessor) -> Rows | None:
    rows = []
    for path in paths:
        try:
            rows.append(preprocessor.decode(path.read_bytes()))
        except (OSError, ImageError) as error:
            raise ExportError(f"{path}: {error}") from error
    return np.stack(rows) if rows else None
