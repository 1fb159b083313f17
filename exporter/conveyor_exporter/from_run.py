"""From a run, as training leaves it, to what export needs: the network and its description."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

from conveyor.v1 import model_pb2
from conveyor_contract.preprocessing import Preprocessor
from conveyor_exporter.description import LayerShape, ModelDescription
from conveyor_exporter.errors import ExportError
from conveyor_exporter.from_data import calibration_rows, test_rows
from conveyor_exporter.model_input import ImageInput, ModelInput, SignalInput

if TYPE_CHECKING:
    from conveyor_trainer.data import DataSet
    from conveyor_trainer.run import Run


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """A run's network with its description."""

    module: nn.Module
    description: ModelDescription


def read_run(folder: Path, data_dir: Path | None = None) -> TrainedModel:
    """Reads a finished run and the data that it was tested on. Raises the trainer's errors, or ExportError if the
    data are not those of the training."""
    from conveyor_trainer.run import load_run

    run = load_run(folder)
    data = run.load_data(data_dir)
    if data.digest != run.digests.data:
        raise ExportError(
            f"the data set {run.config.data} is not what {folder} was trained on (digest {data.digest[:19]}, the run "
            f"has {run.digests.data[:19]}); name the right files with --data-dir, or train again."
        )
    description = ModelDescription(
        input=_input_of(run),
        labels=run.labels,
        task=model_pb2.TASK_REGRESSION if run.task == "regression" else model_pb2.TASK_CLASSIFICATION,
        returns=model_pb2.MEANING_VALUES if run.task == "regression" else model_pb2.MEANING_LOGITS,
        test=test_rows(data),
        training=calibration_rows(data),
        layers=_layers(run),
        reported_accuracy=run.report.accuracy,
        reported_error=run.report.mae,
        provenance=_provenance(run, data),
        statistics=_statistics(run),
    )
    return TrainedModel(module=run.load_module(), description=description)


def _layers(run: Run) -> tuple[LayerShape, ...]:
    """What the arithmetic says of each layer; nothing of a network from the user's own code."""
    from conveyor_trainer.architecture import Architecture
    from conveyor_trainer.shapes import plan

    if not isinstance(run.architecture, Architecture):
        return ()
    return tuple(LayerShape(path=step.name, shape=step.output_shape) for step in plan(run.architecture))


def _input_of(run: Run) -> ModelInput:
    given, normalisation = run.input_format, run.normalisation
    if isinstance(given, Preprocessor):
        return ImageInput(
            preprocessor=given,
            mean=normalisation.mean,
            standard_deviation=normalisation.standard_deviation,
            scale=normalisation.scale,
        )
    return SignalInput(
        channels=given.channels,
        length=given.length,
        mean=normalisation.mean,
        standard_deviation=normalisation.standard_deviation,
    )


def _provenance(run: Run, data: DataSet) -> model_pb2.Provenance:
    return model_pb2.Provenance(
        weights_digest=run.digests.weights,
        architecture_digest=run.digests.architecture,
        data_digest=data.digest,
        configuration_digest=run.digests.configuration,
        data_set=data.name,
        split_seed=run.config.split_seed,
        held_out=run.config.held_out,
        source_revision=run.source_revision,
    )


def _statistics(run: Run) -> model_pb2.TrainingStatistics:
    return model_pb2.TrainingStatistics(
        input_mean=run.statistics.input_mean,
        input_standard_deviation=run.statistics.input_standard_deviation,
        class_frequencies=run.statistics.class_frequencies,
        confidence_histogram=run.statistics.confidence_histogram,
    )
