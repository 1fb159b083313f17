"""A plain ONNX graph, without a contract: its tensors as the graph states them, served as they are.

Nothing proves its answers, so nothing is taken on trust either: requests share a batch only where a trial at load
shows that a row's answer does not depend on its neighbours.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from conveyor_server.arena import Arena
from conveyor_server.batch import Rows, bucket_for, pad
from conveyor_server.datatypes import BYTES, DATATYPES_BY_ONNX
from conveyor_server.errors import LoadError
from conveyor_server.providers import OF_FIXED_SIZES
from conveyor_server.session import SessionOptions, open_session
from conveyor_server.signature import FREE, Signature, TensorSignature, pack, unpack

log = logging.getLogger(__name__)

TRIAL_ROWS: Final = 2
# How far a row's answer in a batch may lie from its answer alone.
TRIAL_ABSOLUTE: Final = 1e-4
TRIAL_RELATIVE: Final = 1e-3


class GraphSession:
    """A graph's session for rows as `pack` makes them. Belongs to one thread at a time."""

    def __init__(self, path: Path, options: SessionOptions, max_batch_size: int) -> None:
        """Opens the file; batches of `max_batch_size` rows at most. Raises LoadError for a graph that cannot serve."""
        # Recorded runs need fixed addresses, and here a graph's tensors come and go.
        self._session = open_session(path, replace(options, device=replace(options.device, graphs=False)))
        self._arena = Arena(options.provider)
        self.signature = self._tried(_signature_of(self._session, max_batch_size))
        self.buckets = _powers_of_two(self.signature.max_batch_size) if options.provider in OF_FIXED_SIZES else []

    def run(self, rows: Rows) -> Rows:
        """Rows of the inputs to as many rows of the outputs."""
        size = len(rows)
        if self.buckets:
            rows = pad(rows, bucket_for(size, self.buckets))
        return self._run(self.signature, rows)[:size]

    def warm(self) -> None:
        """Runs every bucket once, so that no caller pays for a first time."""
        for size in self.buckets:
            self.run(_trial_rows(self.signature, size))

    def _run(self, signature: Signature, rows: Rows) -> Rows:
        arrays = unpack(signature.inputs, rows)
        if not signature.max_batch_size:
            arrays = [array[0] for array in arrays]
        feeds = {tensor.name: array for tensor, array in zip(signature.inputs, arrays, strict=True)}
        names = [tensor.name for tensor in signature.outputs]
        outputs = self._session.run(names, feeds, self._arena.options_for(rows.nbytes))
        if not signature.max_batch_size:
            outputs = [np.asarray(output)[np.newaxis] for output in outputs]
        return pack(signature.outputs, outputs)

    def _tried(self, signature: Signature) -> Signature:
        """The signature, without batches where a trial shows that rows cannot share one."""
        if signature.max_batch_size < TRIAL_ROWS:
            return signature
        try:
            rows = _trial_rows(signature, TRIAL_ROWS)
            together = self._run(signature, rows)
            alone = np.concatenate([self._run(signature, rows[index : index + 1]) for index in range(TRIAL_ROWS)])
            independent = _alike(signature.outputs, together, alone)
        # ONNX Runtime's errors share no public class, and here all mean the same.
        except Exception as error:
            log.debug("a trial batch failed: %s", error)
            independent = False
        return signature if independent else _without_batches(signature)


def _signature_of(session: Any, max_batch_size: int) -> Signature:
    inputs, outputs = session.get_inputs(), session.get_outputs()
    shapes = [node.shape for node in (*inputs, *outputs)]
    batch_axes = {shape[0] if shape else 0 for shape in shapes}
    others_fixed = all(isinstance(size, int) for shape in shapes for size in shape[1:])
    has_batches = len(batch_axes) == 1 and not isinstance(next(iter(batch_axes)), int) and others_fixed
    skipped = 1 if has_batches else 0
    return Signature(
        inputs=[_tensor_of(node, skipped) for node in inputs],
        outputs=[_tensor_of(node, skipped) for node in outputs],
        max_batch_size=max_batch_size if has_batches else 0,
    )


def _tensor_of(node: Any, skipped_axes: int) -> TensorSignature:
    datatype = DATATYPES_BY_ONNX.get(node.type)
    if datatype is None:
        raise LoadError(f"the graph's tensor {node.name!r} is a {node.type}, which cannot be served.")
    shape = tuple(size if isinstance(size, int) else FREE for size in node.shape[skipped_axes:])
    return TensorSignature(name=node.name, datatype=datatype, shape=shape)


def _without_batches(signature: Signature) -> Signature:
    return Signature(inputs=_whole(signature.inputs), outputs=_whole(signature.outputs), max_batch_size=0)


def _whole(tensors: Sequence[TensorSignature]) -> list[TensorSignature]:
    return [
        TensorSignature(name=tensor.name, datatype=tensor.datatype, shape=(FREE, *tensor.shape)) for tensor in tensors
    ]


def _trial_rows(signature: Signature, size: int) -> Rows:
    # Zeros and ones: valid for indices, counts and masks too.
    generator = np.random.default_rng(0)
    arrays = []
    for tensor in signature.inputs:
        bits = generator.integers(0, 2, (size, *tensor.shape))
        arrays.append(
            bits.astype(str).astype(object) if tensor.datatype is BYTES else bits.astype(tensor.datatype.dtype)
        )
    return pack(signature.inputs, arrays)


def _alike(tensors: Sequence[TensorSignature], first: Rows, second: Rows) -> bool:
    for one, other in zip(unpack(tensors, first), unpack(tensors, second), strict=True):
        if one.shape != other.shape:
            return False
        if one.dtype.kind == "f":
            if not np.allclose(one, other, TRIAL_RELATIVE, TRIAL_ABSOLUTE, equal_nan=True):
                return False
        elif not np.array_equal(one, other):
            return False
    return True


def _powers_of_two(limit: int) -> list[int]:
    powers = [2**power for power in range(limit.bit_length())]
    return sorted({*(size for size in powers if size < limit), limit} - {0})
