"""What checks look at: a model on trial and, where there is one, the network that it came from."""

from __future__ import annotations  # the stubs' enum types exist for the type checker only

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from conveyor.v1 import model_pb2
from conveyor_exporter.description import LabelledRows, ModelDescription
from conveyor_exporter.golden import make_golden_samples
from conveyor_exporter.model_input import Rows
from conveyor_exporter.precision.gate import FP32
from conveyor_exporter.session import CPU_PROVIDER, Session

NOISE_SEED = 20
_FLOATS = {"FP16": np.float16, "FP64": np.float64}
REAL_ROWS = 64  # of the test split, for what is run at every batch size


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A model on trial with what it claims to be. `batch_sizes` in rows, ascending, all of them to be run.

    `source` is what ONNX Runtime loads: bytes, or a path where weights may lie beside the file.
    """

    graph: ModelProto
    source: bytes | Path
    input: model_pb2.TensorSpec
    output: model_pb2.TensorSpec
    labels: tuple[str, ...]
    batch_sizes: tuple[int, ...]
    row_shape: tuple[int, ...]  # to be run with; where the graph leaves sizes free, ours
    opset: int | None = None  # None: any that the oldest supported runtime reads
    precision: str = FP32
    provider: str = CPU_PROVIDER  # on which all of it is proved

    @cached_property
    def session(self) -> Session:
        """Raises RunError when ONNX Runtime cannot load the model."""
        return Session(self.source, self.provider)

    @cached_property
    def model(self) -> bytes:
        """The serialized model, without weights that lie beside it."""
        return self.source if isinstance(self.source, bytes) else self.source.read_bytes()

    @property
    def max_batch_size(self) -> int:
        return self.batch_sizes[-1]

    @property
    def answers_probabilities(self) -> bool:
        return self.output.meaning == model_pb2.MEANING_PROBABILITIES

    @cached_property
    def noise(self) -> Rows:
        """Seeded noise, a full batch of it; among images of noise also an all-black and an all-white one."""
        generator = np.random.default_rng(NOISE_SEED)
        shape = (self.max_batch_size, *self.row_shape)
        if self.input.datatype != "UINT8":
            return generator.normal(0, 1, shape).astype(_FLOATS.get(self.input.datatype, np.float32))
        rows = generator.integers(0, 256, shape, dtype=np.uint8)
        if len(rows) > 3:
            rows[-1], rows[-2] = 0, 255
        return rows


class Reference(Protocol):
    """What a candidate is held against: the network that it was made from, or the file that it was adopted from."""

    @property
    def name(self) -> str:
        """As checks call it: PyTorch, or the original file."""

    @property
    def description(self) -> ModelDescription: ...

    def raw_answers(self, rows: Rows) -> NDArray[np.float32]:
        """Logits, probabilities or values [N, outputs], as the original gives them."""

    def answers(self, rows: Rows) -> NDArray[np.float32]:
        """What the candidate must answer."""

    def layer_answers(self, rows: Rows) -> dict[str, tuple[str, NDArray[np.float32]]]:
        """Module path -> (class, what it gave), in the order of the run."""


@dataclass(frozen=True, kw_only=True)
class Proof:
    """A candidate beside the network it came from, and the test data. `golden_rows` become the golden samples; None
    takes noise.
    """

    candidate: Candidate
    layer_outputs: dict[str, str]
    reference: Reference
    test: LabelledRows | None
    golden_rows: LabelledRows | None

    @cached_property
    def golden(self) -> model_pb2.GoldenSamples:
        """The golden samples that go into the file. Raises RunError when the model cannot be run."""
        return make_golden_samples(self.candidate, self.reference, self.golden_rows)

    @cached_property
    def real_rows(self) -> Rows | None:
        """The first rows of the test split, as many as are run at every batch size."""
        return None if self.test is None else self.test.rows[:REAL_ROWS]

    @cached_property
    def reference_answers(self) -> NDArray[np.float32]:
        """PyTorch's answers to the whole test split."""
        assert self.test is not None  # asked for only by checks that have test data
        return self.reference.answers(self.test.rows)

    @cached_property
    def exported_answers(self) -> NDArray[np.float32]:
        """ONNX Runtime's answers to the whole test split."""
        assert self.test is not None  # as above
        return self.candidate.session.run_in_chunks(self.test.rows, self.candidate.max_batch_size)


def passed(detail: str, **figures: float) -> model_pb2.Check:
    """A check's verdict; the registry fills in the name."""
    return model_pb2.Check(ok=True, detail=detail, figures=figures)


def failed(detail: str, **figures: float) -> model_pb2.Check:
    """A check's verdict; the detail says what is wrong and what to do."""
    return model_pb2.Check(ok=False, detail=detail, figures=figures)


def first_rows(rows: NDArray[Any], count: int) -> NDArray[Any]:
    """The first `count` rows, starting over when there are fewer."""
    return rows[np.arange(count) % len(rows)]
