"""Golden samples: a few inputs with their right answers, replayed before a model is called ready."""

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from conveyor.v1 import model_pb2
from conveyor_contract.digests import row_digest
from conveyor_contract.errors import ContractError
from conveyor_contract.preprocessing import Preprocessor

MAX_ENCODED_BYTES = 64 * 1024
MAX_TOTAL_BYTES = 512 * 1024

AnyRow = NDArray[np.uint8] | NDArray[np.float32]

_DTYPES: dict[str, np.dtype[np.uint8] | np.dtype[np.float32]] = {"UINT8": np.dtype("u1"), "FP32": np.dtype("<f4")}


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How far an answer lies from its reference at most, and whether that is within tolerance."""

    max_absolute: float
    ok: bool


def compare(answer: NDArray[np.float32], reference: NDArray[np.float32], tolerance: model_pb2.Tolerance) -> Difference:
    """Compares element by element: |answer - reference| <= absolute + relative * |reference|. NaN never passes."""
    if answer.shape != reference.shape:
        raise ContractError(
            f"an answer has shape {list(answer.shape)} where its reference has {list(reference.shape)}."
        )
    difference = np.abs(answer.astype(np.float64) - reference.astype(np.float64))
    allowed = tolerance.absolute + tolerance.relative * np.abs(reference.astype(np.float64))
    return Difference(max_absolute=float(difference.max(initial=0.0)), ok=bool((difference <= allowed).all()))


def tolerance_for(golden: model_pb2.GoldenSamples, provider: str, precision: str) -> model_pb2.Tolerance:
    """The tolerance for a provider and precision: the exact entry, else the one for any provider.

    Raises ContractError when the samples state neither.
    """
    for name in (provider, ""):
        for tolerance in golden.tolerances:
            if tolerance.provider == name and tolerance.precision == precision:
                return tolerance
    raise ContractError(f"the golden samples state no tolerance for {precision} on {provider}; export the model again.")


def row_of_sample(sample: model_pb2.GoldenSample, preprocessor: Preprocessor | None) -> AnyRow:
    """A sample's input as a row, its digest checked. Raises ContractError when preprocessing gives other bytes."""
    if sample.WhichOneof("input") == "encoded_image":
        if preprocessor is None:
            raise ContractError(f"golden sample {sample.name!r} is an image, but the contract has no preprocessing.")
        row: AnyRow = preprocessor.decode(sample.encoded_image)
    else:
        row = row_of_tensor(sample.tensor)
    if row_digest(row) != sample.row_digest:
        raise ContractError(
            f"golden sample {sample.name!r}: preprocessing gives other pixels here than where the model was exported; "
            "the contract's preprocessing was changed, or the image library computes differently."
        )
    return row


def row_of_tensor(tensor: model_pb2.Tensor) -> AnyRow:
    """A tensor message as an array without copying. Raises ContractError if type, shape and size disagree."""
    dtype = _DTYPES.get(tensor.datatype)
    if dtype is None:
        raise ContractError(f"a tensor has datatype {tensor.datatype!r}; expected UINT8 or FP32.")
    shape = tuple(tensor.shape)
    expected = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    if min(shape, default=0) < 0 or len(tensor.data) != expected:
        raise ContractError(
            f"a tensor of {tensor.datatype} {list(shape)} has {len(tensor.data)} bytes; expected {expected}."
        )
    return cast(AnyRow, np.frombuffer(tensor.data, dtype=dtype).reshape(shape))


def tensor_of_row(row: AnyRow) -> model_pb2.Tensor:
    """An array as a tensor message."""
    datatype = next((name for name, dtype in _DTYPES.items() if dtype == row.dtype), None)
    if datatype is None:
        raise ContractError(f"a row has type {row.dtype}; expected uint8 or float32.")
    return model_pb2.Tensor(datatype=datatype, shape=row.shape, data=np.ascontiguousarray(row).tobytes())
