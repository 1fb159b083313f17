"""Outputs of a model to the messages that answer a call.

Most of an answer is equal from call to call. So the usual one is put together from bytes that are made once for each
model; the fields of a message may come in any order, so its parts may be written one behind the other.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from conveyor.v1 import classifier_pb2
from conveyor_server.batch import Rows
from conveyor_server.calls import SerializedResponse
from conveyor_server.errors import ServingError
from conveyor_server.model import Inference, Model
from conveyor_server.statuses import CONVEYOR_CODES

_MICROSECONDS: Final = 1_000_000
_FLOAT_BYTES: Final = 4


class ClassifyAnswers:
    """Answers of one model to Classify."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._common = classifier_pb2.ClassifyResponse(
            model_name=model.name, model_version=model.version_text, file_digest=model.file_digest
        ).SerializeToString()
        self._label_starts = [
            _without_probability(classifier_pb2.ClassifyResponse(results=[_best(label, index)]))
            for index, label in enumerate(model.labels)
        ]

    def answer(self, inference: Inference, top_k: int, request_id: str) -> SerializedResponse:
        """The answer to one request."""
        parts = [self._common]
        if isinstance(inference.results, np.ndarray) and top_k <= 1 and self._label_starts:
            for output in inference.results:
                index = output.argmax()
                parts += (self._label_starts[index], output[index].tobytes())
        else:
            response = classifier_pb2.ClassifyResponse()
            for result in inference.results:
                write_result(response.results.add(), result, self._model, top_k)
            parts.append(response.SerializeToString())
        # Not one that is cleared and filled again: what a message has held it keeps for as long as it lives.
        own = classifier_pb2.ClassifyResponse()
        if request_id:
            own.request_id = request_id
        write_timings(own.timings, inference)
        parts.append(own.SerializeToString())
        return SerializedResponse(b"".join(parts))


class StreamAnswers:
    """Answers of one model to the items of ClassifyStream."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._common = classifier_pb2.ClassifyStreamResponse(
            model_name=model.name, model_version=model.version_text, file_digest=model.file_digest
        ).SerializeToString()
        self._label_starts = [
            _without_probability(classifier_pb2.ClassifyStreamResponse(result=_best(label, index)))
            for index, label in enumerate(model.labels)
        ]

    def answer(self, item_id: int, inference: Inference, top_k: int) -> SerializedResponse:
        """The answer to one item, which holds one image."""
        own = classifier_pb2.ClassifyStreamResponse(item_id=item_id)
        write_timings(own.timings, inference)
        output = inference.results[0]
        if top_k <= 1 and self._label_starts and not isinstance(output, ServingError):
            index = output.argmax()
            answer = self._label_starts[index] + output[index].tobytes()
            return SerializedResponse(self._common + answer + own.SerializeToString())
        write_result(own.result, output, self._model, top_k)
        return SerializedResponse(self._common + own.SerializeToString())


def write_result(result: classifier_pb2.Result, output: Rows | ServingError, model: Model, top_k: int) -> None:
    """Fills in the top_k labels (at least one), the values, or the error."""
    if isinstance(output, ServingError):
        write_error(result, output)
    elif not model.labels:
        result.answer.values.extend(output.tolist())
    else:
        # Stable, so that equal probabilities come in the order of the labels.
        for index in np.argsort(-output, kind="stable")[: max(1, top_k)].tolist():
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


def _best(label: str, index: int) -> classifier_pb2.Result:
    """A result that names one label, with any probability other than 0, which would not be written."""
    prediction = classifier_pb2.Prediction(label=label, index=index, probability=1.0)
    return classifier_pb2.Result(answer=classifier_pb2.Answer(predictions=[prediction]))


def _without_probability(response: classifier_pb2.ClassifyResponse | classifier_pb2.ClassifyStreamResponse) -> bytes:
    """The bytes of a response that holds nothing but one label, up to its probability, whose value comes last."""
    return response.SerializeToString()[:-_FLOAT_BYTES]
