"""One model version that serves: its tensors, its contract, its reader of images and its batcher."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from conveyor.v1 import classifier_pb2, model_pb2
from conveyor_server.batch import DEFAULT_PRIORITY, Outcome, Rows
from conveyor_server.batcher import Batcher
from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.images import ImageReader
from conveyor_server.signature import Signature
from conveyor_server.tracing.record import note_run


class Inference(NamedTuple):
    """What became of a request's images."""

    # For each image its output (values,) or its error, in their order; the very output where there is no error.
    results: Rows | Sequence[Rows | ServingError]
    preprocess_seconds: float
    # Of the images that ran together; None when not one could be read.
    outcome: Outcome | None

    def only_error(self) -> ServingError:
        """The error of a lone image that could not be read, or of the first where none could."""
        error = self.results[0]
        assert isinstance(error, ServingError)
        return error


@dataclass(frozen=True, kw_only=True, eq=False)
class Model:
    """A loaded version. `file_digest` is "sha256:<hex>"; `provider` is what it really runs on."""

    name: str
    version: int
    version_text: str
    signature: Signature
    # In the order of the output's columns; empty for regression, and without a contract.
    labels: Sequence[str]
    # None, like `reader`, for a plain ONNX file, which is served through tensors only.
    contract: model_pb2.ModelContract | None
    golden: model_pb2.GoldenSamples
    file_digest: str
    provider: str
    reader: ImageReader | None
    batcher: Batcher

    async def infer(
        self, images: Sequence[classifier_pb2.Image], deadline: float | None, priority: int = DEFAULT_PRIORITY
    ) -> Inference:
        """Reads and runs the images; `deadline` in seconds of `time.monotonic()`.

        Raises ServingError when the request as a whole is refused or fails. An image that cannot be read has its
        own error in the results, and the others run.
        """
        arrived = time.monotonic()
        batcher = self.batcher
        try:
            reader = self._reader(deadline, arrived)
            batcher.admit(len(images))
            rows = reader.rows_of_fitting_pixels(images)
            if rows is None:
                return await self._read_and_run(reader, images, deadline, priority, arrived)
            preprocess_seconds = time.monotonic() - arrived
            outcome = await batcher.run(rows, deadline, priority, arrived)
            note_run(self.name, self.version_text, arrived, preprocess_seconds, outcome)
        except BaseException as error:
            self.note_failure(error, arrived)
            raise
        return Inference(outcome.output, preprocess_seconds, outcome)

    async def run(
        self, rows: Rows, deadline: float | None, arrived: float, priority: int = DEFAULT_PRIORITY
    ) -> Outcome:
        """Runs rows of the model's input; `deadline` and `arrived` in seconds of `time.monotonic()`."""
        try:
            _check_deadline(deadline, arrived)
            self.batcher.admit(len(rows))
            outcome = await self.batcher.run(rows, deadline, priority, arrived)
            note_run(self.name, self.version_text, arrived, 0.0, outcome)
            return outcome
        except BaseException as error:
            self.note_failure(error, arrived)
            raise

    def note_failure(self, error: BaseException, arrived: float) -> None:
        """Counts a request for this model that is not answered; `infer` and `run` count theirs."""
        self.batcher.statistics.add_failure(time.monotonic() - arrived, error)

    def _reader(self, deadline: float | None, now: float) -> ImageReader:
        if self.reader is None:
            message = f"model {self.name!r} has no contract, so it takes no images; use the tensor protocol"
            raise ServingError(ErrorKind.INVALID_ARGUMENT, message)
        _check_deadline(deadline, now)
        return self.reader

    async def _read_and_run(
        self,
        reader: ImageReader,
        images: Sequence[classifier_pb2.Image],
        deadline: float | None,
        priority: int,
        arrived: float,
    ) -> Inference:
        """Images that are admitted to the queue and that must be decoded, or looked at one by one."""
        held = len(images)
        try:
            if reader.is_quick(images):
                results = reader.read_here(images)
            else:
                results = await reader.read_in_pool(images, self.batcher.limits.deadline_of(deadline, arrived))
            rows = [result for result in results if not isinstance(result, ServingError)]
            self.batcher.withdraw(held - len(rows))
        except BaseException:
            self.batcher.withdraw(held)
            raise
        preprocess_seconds = time.monotonic() - arrived
        if not rows:
            unread = Inference(results, preprocess_seconds, None)
            self.batcher.statistics.add_failure(preprocess_seconds, unread.only_error())
            return unread
        outcome = await self.batcher.run(merge_rows(rows), deadline, priority, arrived)
        note_run(self.name, self.version_text, arrived, preprocess_seconds, outcome)
        if len(rows) == len(results):
            return Inference(outcome.output, preprocess_seconds, outcome)
        outputs = iter(outcome.output)
        mixed = [result if isinstance(result, ServingError) else next(outputs) for result in results]
        return Inference(mixed, preprocess_seconds, outcome)


def _check_deadline(deadline: float | None, now: float) -> None:
    if deadline is not None and deadline <= now:
        raise ServingError(ErrorKind.DEADLINE_PASSED, "the deadline had passed before the request was read")


def merge_rows(rows: Sequence[Rows]) -> Rows:
    """Single rows to one array with the row axis in front; one row is not copied."""
    return rows[0][np.newaxis] if len(rows) == 1 else np.stack(rows)
