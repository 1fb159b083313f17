"""One model version that serves: its tensors, its contract, its reader of images and its batcher."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from conveyor.v1 import classifier_pb2, model_pb2
from conveyor_server.batch import DEFAULT_PRIORITY, Outcome, Rows
from conveyor_server.batcher import Batcher
from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.images import ImageReader
from conveyor_server.signature import Signature
from conveyor_server.statistics import RequestTimes


@dataclass(frozen=True, slots=True, kw_only=True)
class Inference:
    """What became of a request's images."""

    # For each image its output (values,) or its error, in their order.
    results: Sequence[Rows | ServingError]
    preprocess_seconds: float
    # Of the images that ran together; None when not one could be read.
    outcome: Outcome | None


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
        started = time.monotonic()
        try:
            rows, results = await self._read(images, deadline, started)
            preprocess_seconds = time.monotonic() - started
            outcome = await self.batcher.run(merge_rows(rows), deadline, priority) if rows else None
        except BaseException:
            self.batcher.statistics.add_failure(time.monotonic() - started)
            raise
        if outcome is None:
            self.batcher.statistics.add_failure(time.monotonic() - started)
            return Inference(results=results, preprocess_seconds=preprocess_seconds, outcome=None)
        self._count(outcome, started, preprocess_seconds)
        outputs = iter(outcome.output)
        return Inference(
            results=[result if isinstance(result, ServingError) else next(outputs) for result in results],
            preprocess_seconds=preprocess_seconds,
            outcome=outcome,
        )

    async def run(
        self, rows: Rows, deadline: float | None, arrived: float, priority: int = DEFAULT_PRIORITY
    ) -> Outcome:
        """Runs rows of the model's input; `deadline` and `arrived` in seconds of `time.monotonic()`."""
        try:
            _check_deadline(deadline, arrived)
            preprocess_seconds = time.monotonic() - arrived
            self.batcher.admit(len(rows))
            outcome = await self.batcher.run(rows, deadline, priority)
        except BaseException:
            self.batcher.statistics.add_failure(time.monotonic() - arrived)
            raise
        self._count(outcome, arrived, preprocess_seconds)
        return outcome

    async def _read(
        self, images: Sequence[classifier_pb2.Image], deadline: float | None, started: float
    ) -> tuple[list[Rows], Sequence[Rows | ServingError]]:
        """The rows, admitted to the queue, and for each image its row or its error."""
        if self.reader is None:
            message = f"model {self.name!r} has no contract, so it takes no images; use the tensor protocol"
            raise ServingError(ErrorKind.INVALID_ARGUMENT, message)
        _check_deadline(deadline, started)
        self.batcher.admit(len(images))
        held = len(images)
        try:
            results = await self.reader.read(images)
            rows = [result for result in results if not isinstance(result, ServingError)]
            self.batcher.withdraw(held - len(rows))
        except BaseException:
            self.batcher.withdraw(held)
            raise
        return rows, results

    def _count(self, outcome: Outcome, started: float, preprocess_seconds: float) -> None:
        total = time.monotonic() - started
        before = preprocess_seconds + outcome.queue_seconds + outcome.compute_seconds
        times = RequestTimes(
            total=total,
            compute_input=preprocess_seconds,
            queue=outcome.queue_seconds,
            compute_infer=outcome.compute_seconds,
            # What is left: cutting the batch's output, and waking the caller.
            compute_output=max(0.0, total - before),
        )
        self.batcher.statistics.add_success(len(outcome.output), times)


def _check_deadline(deadline: float | None, now: float) -> None:
    if deadline is not None and deadline <= now:
        raise ServingError(ErrorKind.DEADLINE_PASSED, "the deadline had passed before the request was read")


def merge_rows(rows: Sequence[Rows]) -> Rows:
    """Single rows to one array with the row axis in front; one row is not copied."""
    return rows[0][np.newaxis] if len(rows) == 1 else np.stack(rows)
