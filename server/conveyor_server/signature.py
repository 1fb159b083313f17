"""What goes into a model and what comes out, as tensors: the same for a model with a contract and for one without."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from conveyor.v1 import model_pb2
from conveyor_contract.contract import row_shape_of
from conveyor_server.batch import Rows
from conveyor_server.datatypes import DATATYPES, Datatype
from conveyor_server.errors import LoadError

# The size of an axis that may have any.
FREE = -1


@dataclass(frozen=True, kw_only=True)
class TensorSignature:
    """One input or output. `shape` is that of one row, or of the whole tensor where there are no batches."""

    name: str
    datatype: Datatype
    shape: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Signature:
    """A model's tensors.

    With `max_batch_size` (rows) of at least 1, every tensor has a batch axis in front. With 0 none has, and each
    request runs alone, as the one row of its batch.
    """

    inputs: Sequence[TensorSignature]
    outputs: Sequence[TensorSignature]
    max_batch_size: int

    def full_shape(self, tensor: TensorSignature) -> tuple[int, ...]:
        """The shape as callers give it, the batch axis included."""
        return (FREE, *tensor.shape) if self.max_batch_size else tensor.shape


def signature_of_contract(contract: model_pb2.ModelContract) -> Signature:
    """A contract's tensors. Raises LoadError for a datatype that is not served."""
    return Signature(
        inputs=[_tensor_of_spec(spec) for spec in contract.inputs],
        outputs=[_tensor_of_spec(spec) for spec in contract.outputs],
        max_batch_size=contract.batching.max_batch_size,
    )


def _tensor_of_spec(spec: model_pb2.TensorSpec) -> TensorSignature:
    datatype = DATATYPES.get(spec.datatype)
    if datatype is None:
        raise LoadError(f"the tensor {spec.name!r} has datatype {spec.datatype!r}; expected one of {list(DATATYPES)}.")
    return TensorSignature(name=spec.name, datatype=datatype, shape=row_shape_of(spec))


def pack(tensors: Sequence[TensorSignature], arrays: Sequence[Rows]) -> Rows:
    """Arrays with the row axis in front to one array of rows, which the batcher can cut and join.

    A lone tensor is its own rows, not copied; several become records with a field for each tensor.
    """
    if len(arrays) == 1:
        return arrays[0]
    fields = [(tensor.name, array.dtype, array.shape[1:]) for tensor, array in zip(tensors, arrays, strict=True)]
    rows = np.empty(len(arrays[0]), np.dtype(fields))
    for tensor, array in zip(tensors, arrays, strict=True):
        rows[tensor.name] = array
    return rows


def unpack(tensors: Sequence[TensorSignature], rows: Rows) -> list[Rows]:
    """The arrays that `pack` was given, each contiguous."""
    if len(tensors) == 1:
        return [rows]
    return [np.ascontiguousarray(rows[tensor.name]) for tensor in tensors]
