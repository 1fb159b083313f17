"""Outputs of a model to the messages that answer a call."""

from __future__ import annotations

from typing import Final

import numpy as np

from conveyor.v1 import classifier_pb2
from conveyor_server.batch import Rows
from conveyor_server.errors import ServingError
from conveyor_server.model import Inference, Model
from conveyor_server.statuses import CONVEYOR_CODES

_MICROSECONDS: Final = 1_000_000


def write_result(result: classifier_pb2.Result, output: Rows | ServingError, model: Model, top_k: int) -> None:
    """Fills in the top_k labels (at least one), the values, or the error."""
    if isinstance(output, ServingError):
        write_error(result, output)
    elif not model.labels:
        result.answer.values.extend(output.tolist())
    elif top_k <= 1:
        index = int(output.argmax())
        result.answer.predictions.add(label=model.labels[index], index=index, probability=output[index])
    else:
        # Stable, so that equal probabilities come in the order of the labels.
        for index in np.argsort(-output, kind="stable")[:top_k].tolist():
            result.answer.predictions.add(label=model.labels[index], index=index, probability=output[index])


def write_error(result: classifier_pb2.Result, error: ServingError) -> None:
    """Fills in the error of one item."""
    result.error.code = CONVEYOR_CODES[error.kind]
    result.error.message = str(error)


def write_timings(timings: classifier_pb2.Timings, inference: Inference) -> None:
    """Fills in where the time went."""
    timings.preprocess_us = int(inference.preprocess_seconds * _MICROSECONDS)
    outcome = inference.outcome
    if outcome is not None:
        timings.queue_us = int(outcome.queue_seconds * _MICROSECONDS)
        timings.compute_us = int(outcome.compute_seconds * _MICROSECONDS)
        timings.batch_size = outcome.batch_size
