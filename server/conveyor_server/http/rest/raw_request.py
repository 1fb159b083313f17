"""A request that is nothing but its one tensor's bytes: the model's own description says the rest."""

from __future__ import annotations

import math

from conveyor_server.datatypes import BYTES, DATATYPES
from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.http.rest.infer_request import InferenceCall
from conveyor_server.inference import inference_pb2 as pb
from conveyor_server.inference.contents import raw_of_elements


def read_raw_inference(body: bytes, described: pb.ModelMetadataResponse, model_version: str) -> InferenceCall:
    """One row of the model's only input, outputs wanted as binary data. Raises ServingError where it is not enough."""
    if len(described.inputs) != 1:
        raise _invalid(described, f"it has {len(described.inputs)} inputs, and a body without JSON holds one")
    tensor = described.inputs[0]
    message = pb.ModelInferRequest(model_name=described.name, model_version=model_version)
    message.inputs.add(name=tensor.name, datatype=tensor.datatype, shape=_shape(body, described))
    message.raw_input_contents.append(raw_of_elements([body]) if tensor.datatype == BYTES.name else body)
    return InferenceCall(message=message, all_binary=True)


def _shape(body: bytes, described: pb.ModelMetadataResponse) -> list[int]:
    """The described shape, its one free axis filled in from the bytes that there are."""
    tensor = described.inputs[0]
    sizes = list(tensor.shape)
    free = [axis for axis, size in enumerate(sizes) if size < 0]
    if tensor.datatype == BYTES.name:
        return [1] * len(sizes)
    if len(free) > 1:
        raise _invalid(described, f"{len(free)} axes of its input are free, and a body without JSON tells one at most")
    if free:
        row_bytes = math.prod(size for size in sizes if size >= 0) * DATATYPES[tensor.datatype].dtype.itemsize
        if not row_bytes or not body or len(body) % row_bytes:
            raise _invalid(described, f"{len(body)} bytes are no whole number of rows of {row_bytes} bytes")
        sizes[free[0]] = len(body) // row_bytes
    return sizes


def _invalid(described: pb.ModelMetadataResponse, reason: str) -> ServingError:
    words = f"model '{described.name}' needs a request with JSON: {reason}"
    return ServingError(ErrorKind.INVALID_ARGUMENT, words)
