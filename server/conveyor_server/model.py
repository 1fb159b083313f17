"""One model version that serves: its contract, its reader of images and its batcher."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from conveyor.v1 import classifier_pb2, model_pb2
from conveyor_server.batch import Outcome, Rows
from conveyor_server.batcher import Batcher
from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.images import ImageReader


@dataclass(frozen=True, slots=True, kw_only=True)
class Inference:
    """What became of a request's images."""

    # For each image its output (values,) or its error, in their order.
    results: Sequence[Rows | ServingError]
    preprocess_seconds: float
    # Of the images that ran together; None when not one could be read.
    outcome: Outcome | None


@dataclass(frozen=True, kw_only=True)
class Model:
    """A loaded version. `file_digest` is "sha256:<hex>"; `provider` is what it really runs on."""

    name: str
    version: int
    version_text: str
    # In the order of the output's columns; empty for regression.
    labels: Sequence[str]
    contract: model_pb2.ModelContract
    golden: model_pb2.GoldenSamples
    file_digest: str
    provider: str
    reader: ImageReader
    batcher: Batcher

    async def infer(self, images: Sequence[classifier_pb2.Image], deadline: float | None) -> Inference:
        """Reads and runs the images; `deadline` in seconds of `time.monotonic()`.

        Raises ServingError when the request as a whole is refused or fails. An image that cannot be read has its
        own error in the results, and the others run.
        """
        started = time.monotonic()
        if deadline is not None and deadline <= started:
            raise ServingError(ErrorKind.DEADLINE_PASSED, "the deadline had passed before the request was read")
        self.batcher.admit(len(images))
        held = len(images)
        try:
            results = await self.reader.read(images)
            preprocess_seconds = time.monotonic() - started
            rows = [result for result in results if not isinstance(result, ServingError)]
            self.batcher.withdraw(held - len(rows))
            held = len(rows)
        except BaseException:
            self.batcher.withdraw(held)
            raise
        if not rows:
            return Inference(results=results, preprocess_seconds=preprocess_seconds, outcome=None)
        outcome = await self.batcher.run(merge_rows(rows), deadline)
        outputs = iter(outcome.output)
        return Inference(
            results=[result if isinstance(result, ServingError) else next(outputs) for result in results],
            preprocess_seconds=preprocess_seconds,
            outcome=outcome,
        )


def merge_rows(rows: Sequence[Rows]) -> Rows:
    """Single rows to one array with the row axis in front; one row is not copied."""
    return rows[0][np.newaxis] if len(rows) == 1 else np.stack(rows)
