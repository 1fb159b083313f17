"""What is known of a network beside its weights: all that its contract will say and its proof will use."""

from __future__ import annotations  # the stubs' enum types exist for the type checker only

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from conveyor.v1 import model_pb2
from conveyor_contract.contract import PROBABILITIES_OUTPUT, VALUES_OUTPUT
from conveyor_contract.preprocessing import Preprocessor
from conveyor_exporter.errors import ExportError
from conveyor_exporter.model_input import ImageInput, ModelInput, Rows
from conveyor_exporter.precision.gate import FP32, Limits

DEFAULT_OPSET = 18
DEFAULT_MAX_BATCH_SIZE = 32


@dataclass(frozen=True, kw_only=True)
class LabelledRows:
    """Rows with their right answers: class numbers (int) or values (float32 [N, K]). `kind` names golden samples."""

    rows: Rows
    targets: NDArray[Any]
    kind: str = "test"

    def __post_init__(self) -> None:
        if len(self.rows) != len(self.targets) or len(self.rows) == 0:
            raise ExportError(
                f"there are {len(self.rows)} rows and {len(self.targets)} answers; expected as many of each, not 0."
            )


@dataclass(frozen=True, kw_only=True)
class LayerShape:
    """What a layer's module must give for one row: [C, H, W], [C, L] or [N]."""

    path: str
    shape: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class ModelDescription:
    """A network's input, task, labels and data. Without `test`, checks run on seeded noise and say so.

    `returns` says what the network's forward gives: MEANING_LOGITS (a softmax is added), MEANING_PROBABILITIES
    (it ends in softmax itself) or, for regression, MEANING_VALUES. Without labels, outputs are numbered. `layers` are
    output shapes by arithmetic; `reported_accuracy` (0 to 1) and, for regression, `reported_error` (the mean absolute
    one) are training's own figures on `test`: all are checked. int8 is calibrated on the rows of `training`, a few
    hundred of what the network was trained on. `samples` become golden samples where there is no `test`.
    """

    input: ModelInput
    labels: tuple[str, ...] = ()
    task: model_pb2.Task.ValueType = model_pb2.TASK_CLASSIFICATION
    returns: model_pb2.Meaning.ValueType = model_pb2.MEANING_LOGITS
    test: LabelledRows | None = None
    training: Rows | None = None
    samples: Rows | None = None
    layers: tuple[LayerShape, ...] = ()
    reported_accuracy: float | None = None
    reported_error: float | None = None
    provenance: model_pb2.Provenance = field(default_factory=model_pb2.Provenance)
    statistics: model_pb2.TrainingStatistics | None = None

    @property
    def preprocessor(self) -> Preprocessor | None:
        """What is done to an image before the graph; None for signals."""
        return self.input.preprocessor if isinstance(self.input, ImageInput) else None

    def golden_rows(self, kind: Literal["real", "synthetic"]) -> LabelledRows | None:
        """What golden samples are chosen from; None: noise."""
        if kind == "synthetic":
            return None
        if self.test is None and self.samples is not None:
            return LabelledRows(rows=self.samples, targets=np.arange(len(self.samples)), kind="image")
        return self.test

    def check_outputs(self, outputs: int) -> None:
        """Raises ExportError when a model with so many outputs cannot give the answers of the test data."""
        if self.test is None:
            return
        targets = self.test.targets
        if self.is_classification and int(targets.max()) >= outputs:
            raise ExportError(
                f"the model has {outputs} outputs, but the test data have a class {int(targets.max())}, counted from "
                "0; choose the data that it was trained for."
            )
        values = targets.reshape(len(targets), -1).shape[1]
        if not self.is_classification and values != outputs:
            raise ExportError(
                f"the model answers with {outputs} values, the test data have {values} a row; choose the data that it "
                "was trained for."
            )

    @property
    def is_classification(self) -> bool:
        return self.task == model_pb2.TASK_CLASSIFICATION

    @property
    def adds_softmax(self) -> bool:
        return self.is_classification and self.returns == model_pb2.MEANING_LOGITS

    @property
    def output_name(self) -> str:
        return PROBABILITIES_OUTPUT if self.is_classification else VALUES_OUTPUT

    @property
    def output_meaning(self) -> model_pb2.Meaning.ValueType:
        return model_pb2.MEANING_PROBABILITIES if self.is_classification else model_pb2.MEANING_VALUES


def _silent(step: str) -> None:
    """Nobody is listening."""


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """How to export. `max_batch_size` in rows; `on_step` is told what is being done, for a progress display.

    A lower `precision` is kept only within `limits`; "auto" tries all and keeps the best. `unproved` lets fp16 be
    written where there is no CUDA to prove it on. PNG files in `pictures` are carried beside the model.
    """

    max_batch_size: int = DEFAULT_MAX_BATCH_SIZE
    opset: int = DEFAULT_OPSET
    golden: Literal["real", "synthetic"] = "real"
    force: bool = False
    precision: Literal["fp32", "fp16", "int8", "auto"] = FP32
    limits: Limits = field(default_factory=Limits)
    unproved: bool = False
    measure_seconds: float = 0.5  # for each batch size, where speed is measured
    pictures: Path | None = None
    rejected_dir: Path | None = None
    on_step: Callable[[str], None] = _silent

    def __post_init__(self) -> None:
        if self.max_batch_size < 1:
            raise ExportError(f"max_batch_size is {self.max_batch_size} rows; it must be at least 1.")

    @property
    def buckets(self) -> tuple[int, ...]:
        """The powers of two below max_batch_size, and itself."""
        powers = (2**power for power in range(self.max_batch_size.bit_length()))
        return (*(size for size in powers if size < self.max_batch_size), self.max_batch_size)

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        """Every batch size that is proved: odd ones beside the buckets, because those hide fixed shapes."""
        return tuple(sorted(size for size in {1, 2, 3, 7, *self.buckets} if size <= self.max_batch_size))
