"""Golden samples through the very path that requests take: decoder, batcher, provider. The proof behind "ready"."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from conveyor.v1 import classifier_pb2, model_pb2
from conveyor_contract.golden import compare, row_of_sample, tolerance_for
from conveyor_contract.preprocessing import Preprocessor
from conveyor_server.batch import Rows
from conveyor_server.errors import LoadError, ServingError
from conveyor_server.model import Model


async def replay(model: Model, contract: model_pb2.ModelContract) -> None:
    """Asks the model for every golden sample, each alone and all together.

    Raises LoadError or ContractError when an answer, a label or a preprocessed row is not what it was at export.
    """
    samples = model.golden.samples
    if not samples:
        raise LoadError("the file holds no golden samples to prove its answers with; export the model again.")
    _check_rows(model, contract)
    alone = [await _outputs(model, [sample]) for sample in samples]
    largest = model.signature.max_batch_size
    together = [await _outputs(model, samples[start : start + largest]) for start in range(0, len(samples), largest)]
    for outputs in (np.concatenate(alone), np.concatenate(together)):
        for sample, output in zip(samples, outputs, strict=True):
            _check_answer(model, contract, sample, output)


def _check_rows(model: Model, contract: model_pb2.ModelContract) -> None:
    preprocessor = Preprocessor.from_message(contract.preprocessing) if contract.HasField("preprocessing") else None
    for sample in model.golden.samples:
        row_of_sample(sample, preprocessor)


async def _outputs(model: Model, samples: Sequence[model_pb2.GoldenSample]) -> Rows:
    inference = await model.infer([_image(sample) for sample in samples], deadline=None)
    for sample, result in zip(samples, inference.results, strict=True):
        if isinstance(result, ServingError):
            raise LoadError(f"golden sample {sample.name!r} cannot be read: {result}.")
    return np.stack([result for result in inference.results if not isinstance(result, ServingError)])


def _image(sample: model_pb2.GoldenSample) -> classifier_pb2.Image:
    if sample.WhichOneof("input") == "encoded_image":
        return classifier_pb2.Image(encoded=sample.encoded_image)
    return classifier_pb2.Image(tensor=sample.tensor)


def _check_answer(
    model: Model, contract: model_pb2.ModelContract, sample: model_pb2.GoldenSample, output: Rows
) -> None:
    tolerance = tolerance_for(model.golden, model.provider, contract.precision)
    reference = np.array(sample.reference_output, np.float32)
    difference = compare(output, reference, tolerance)
    if not difference.ok:
        raise LoadError(
            f"golden sample {sample.name!r}: the answer on {model.provider} is off by up to "
            f"{difference.max_absolute:.2e}, over the tolerance of {tolerance.absolute:.2e} absolute and "
            f"{tolerance.relative:.2e} relative."
        )
    if contract.task != model_pb2.TASK_CLASSIFICATION:
        return
    label = contract.labels[int(output.argmax())]
    if label != sample.label:
        raise LoadError(f"golden sample {sample.name!r}: the answer is {label!r}, and it was {sample.label!r}.")
