"""The usual request, in as few steps as it can be: one raw tensor in, one out, nothing asked for beside it.

Whatever is not usual, or not right, is left to `inputs.py` and `outputs.py`, which know every case and every error.
"""

from __future__ import annotations

import math

import numpy as np

from conveyor_server.batch import Rows
from conveyor_server.datatypes import BYTES
from conveyor_server.inference import inference_pb2 as pb
from conveyor_server.model import Model


class UsualRequest:
    """How the usual request for one model is read, and how it is answered."""

    def __init__(self, model: Model) -> None:
        self._model = model
        signature = model.signature
        self._input, self._output = signature.inputs[0], signature.outputs[0]
        self._is_offered = (
            len(signature.inputs) == len(signature.outputs) == 1
            and signature.max_batch_size > 0
            and BYTES not in (self._input.datatype, self._output.datatype)
        )
        self._input_name, self._datatype_name = self._input.name, self._input.datatype.name
        self.dtype, self._row_shape = self._input.datatype.dtype, list(self._input.shape)
        self._row_bytes = math.prod(self._row_shape) * self.dtype.itemsize
        self._max_rows = signature.max_batch_size
        self._starts: dict[tuple[int, ...], bytes] = {}

    def rows_of(self, request: pb.ModelInferRequest) -> Rows | None:
        """The rows of a usual request, not copied; None for any other."""
        inputs, raws = request.inputs, request.raw_input_contents
        if not self._is_offered or len(inputs) != 1 or len(raws) != 1:
            return None
        tensor, raw = inputs[0], raws[0]
        if not self._asks_for_nothing_else(request, tensor):
            return None
        if tensor.name != self._input_name or tensor.datatype != self._datatype_name:
            return None
        shape = tensor.shape[:]
        if shape[1:] != self._row_shape or not 0 < shape[0] <= self._max_rows or len(raw) != shape[0] * self._row_bytes:
            return None
        return np.ndarray(shape, self.dtype, raw)

    def answer(self, output: Rows) -> bytes:
        """The bytes of an answer: the output's own, behind everything that is equal in all answers of its shape."""
        start = self._starts.get(output.shape)
        if start is None:
            start = self._starts[output.shape] = self._start_of(output)
        return start + output.tobytes()

    def _start_of(self, output: Rows) -> bytes:
        response = pb.ModelInferResponse(model_name=self._model.name, model_version=self._model.version_text)
        response.outputs.add(name=self._output.name, datatype=self._output.datatype.name, shape=output.shape)
        response.raw_output_contents.append(output.tobytes())
        # The contents are the last field, and within it come last.
        return response.SerializeToString().removesuffix(output.tobytes())

    def _asks_for_nothing_else(
        self, request: pb.ModelInferRequest, tensor: pb.ModelInferRequest.InferInputTensor
    ) -> bool:
        if request.parameters or tensor.parameters or tensor.HasField("contents"):
            return False
        wanted = request.outputs
        return not wanted or (len(wanted) == 1 and wanted[0].name == self._output.name and not wanted[0].parameters)
