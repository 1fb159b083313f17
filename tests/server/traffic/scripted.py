"""Two versions over batchers that a test drives by hand."""

from dataclasses import dataclass

import numpy as np

from conveyor.v1 import model_pb2
from conveyor_server.datatypes import DATATYPES
from conveyor_server.model import Model
from conveyor_server.signature import Signature, TensorSignature
from tests.server.scripted import Bench

LABELS = ("cat", "dog", "hen")


@dataclass(frozen=True, kw_only=True)
class Version:
    """A model and what drives it."""

    bench: Bench
    model: Model


def version(number: int, labels: tuple[str, ...] = LABELS, *, queue: int = 1000, batch: int = 4) -> Version:
    """A version that takes rows of three values, and doubles them."""
    bench = Bench(batch=batch, queue=queue, loop_clock=True)
    tensor = TensorSignature(name="values", datatype=DATATYPES["FP32"], shape=(3,))
    model = Model(
        name="animals",
        version=number,
        version_text=str(number),
        signature=Signature(inputs=[tensor], outputs=[tensor], max_batch_size=batch),
        labels=labels,
        contract=None,
        golden=model_pb2.GoldenSamples(),
        file_digest=f"sha256:{number}",
        provider="CPUExecutionProvider",
        reader=None,
        batcher=bench.batcher,
    )
    return Version(bench=bench, model=model)


def rows(*winners: int) -> np.ndarray:
    """A row for each, whose largest value is in that column."""
    return np.eye(3, dtype=np.float32)[list(winners)]
