"""Golden samples: a few inputs with PyTorch's and the exported file's answers, small enough to stand in the file."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from conveyor.v1 import model_pb2
from conveyor_contract.digests import row_digest
from conveyor_contract.golden import MAX_ENCODED_BYTES, tensor_of_row
from conveyor_contract.preprocessing import encode_png
from conveyor_exporter.description import LabelledRows, ModelDescription
from conveyor_exporter.model_input import ImageInput, Rows
from conveyor_exporter.tolerances import golden_tolerances

if TYPE_CHECKING:
    from conveyor_exporter.checks.candidate import Candidate, Reference

SAMPLES = 8  # of at most 64 KB each: 512 KB in all
_POOL = 32  # rows that they are chosen from


def make_golden_samples(
    candidate: Candidate, reference: Reference, test: LabelledRows | None
) -> model_pb2.GoldenSamples:
    """Samples of the test rows, of several classes where there are labels; of seeded noise without test rows."""
    description = reference.description
    if test is None:
        names, rows = [f"noise-{index}" for index in range(len(candidate.noise))], candidate.noise
    else:
        chosen = _spread_over_classes(test) if description.is_classification else list(range(len(test.rows)))
        names, rows = [f"{test.kind}-{index}" for index in chosen[:_POOL]], test.rows[chosen[:_POOL]]
    samples = [_sample_of(name, row, description) for name, row in zip(names[:_POOL], rows[:_POOL], strict=True)]
    stored = np.stack([row for _, row in samples])
    expected, exported = reference.answers(stored), candidate.session.run_in_chunks(stored, candidate.max_batch_size)
    kept = (_unequivocal(expected, exported) if description.is_classification else list(range(len(stored))))[:SAMPLES]
    for index in kept:
        sample, row = samples[index]
        sample.row_digest = row_digest(row)
        sample.reference_output.extend(expected[index].tolist())
        sample.exported_output.extend(exported[index].tolist())
        if description.is_classification:
            sample.label_index = int(expected[index].argmax())
            sample.label = dict(enumerate(candidate.labels)).get(sample.label_index, "")
    return model_pb2.GoldenSamples(
        samples=[samples[index][0] for index in kept],
        tolerances=golden_tolerances(expected[kept], exported[kept], candidate.precision),
        synthetic=test is None,
    )


def _unequivocal(expected: NDArray[np.float32], exported: NDArray[np.float32]) -> list[int]:
    """The rows with the same label from both: replay asks for it. Where there are none, all: replay will then fail."""
    same = np.flatnonzero(expected.argmax(axis=1) == exported.argmax(axis=1)).tolist()
    return same or list(range(len(expected)))


def _spread_over_classes(test: LabelledRows) -> list[int]:
    """The first row of each class, then the second of each, and so on."""
    occurrence: dict[int, int] = {}
    ranked = []
    for index, target in enumerate(test.targets.tolist()):
        occurrence[target] = occurrence.get(target, 0) + 1
        ranked.append((occurrence[target], target, index))
    return [index for _, _, index in sorted(ranked)]


def _sample_of(name: str, row: Rows, description: ModelDescription) -> tuple[model_pb2.GoldenSample, Rows]:
    """A sample and the row that preprocessing makes of it."""
    if not isinstance(description.input, ImageInput):
        return model_pb2.GoldenSample(name=name, tensor=tensor_of_row(row)), row
    encoded = _png_within_limit(row)
    return model_pb2.GoldenSample(name=name, encoded_image=encoded), description.input.preprocessor.decode(encoded)


def _png_within_limit(row: Rows) -> bytes:
    """The row as PNG, halved in size until it is small enough; preprocessing scales it up again."""
    encoded = encode_png(row)
    while len(encoded) > MAX_ENCODED_BYTES:
        with Image.open(io.BytesIO(encoded)) as image:
            smaller = image.resize((max(1, image.width // 2), max(1, image.height // 2)), Image.Resampling.BOX)
        buffer = io.BytesIO()
        smaller.save(buffer, format="PNG")
        encoded = buffer.getvalue()
    return encoded
