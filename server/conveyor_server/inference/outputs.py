"""The outputs of a request: which are wanted and in what form, and the answer that holds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from conveyor_server.batch import Rows
from conveyor_server.calls import SerializedResponse
from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.inference import inference_pb2 as pb
from conveyor_server.inference.classification import check_classifiable, top_classes
from conveyor_server.inference.contents import raw_of_array, raw_of_elements
from conveyor_server.inference.parameters import whole_number
from conveyor_server.inference.shared_memory import Placement, SharedMemory, placement_of
from conveyor_server.model import Model
from conveyor_server.shortening import shortened
from conveyor_server.signature import TensorSignature, unpack


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedOutput:
    """One output as the request wants it."""

    tensor: TensorSignature
    # As so many classes in text; 0 for the values themselves.
    classes: int = 0
    # None to have it in the message.
    placement: Placement | None = None


def read_wanted(request: pb.ModelInferRequest, model: Model) -> list[WantedOutput]:
    """The outputs that are wanted, all of them when none is named. Raises ServingError for what is not there."""
    tensors = model.signature.outputs
    if not request.outputs:
        return [WantedOutput(tensor=tensor) for tensor in tensors]
    if len(request.outputs) > len(tensors):
        # The answer would hold the same values again and again.
        raise _invalid(f"{len(request.outputs)} outputs are asked for, but model '{model.name}' has {len(tensors)}")
    return [_wanted(output, model) for output in request.outputs]


def write_answer(
    model: Model, request_id: str, wanted: Sequence[WantedOutput], rows: Rows, memory: SharedMemory
) -> SerializedResponse:
    """The answer with the rows that the model gave. Raises ServingError when shared memory does not take them."""
    signature = model.signature
    arrays = unpack(signature.outputs, rows)
    by_name = {tensor.name: array for tensor, array in zip(signature.outputs, arrays, strict=True)}
    described, raws = [], []
    for output in wanted:
        array = by_name[output.tensor.name]
        if not signature.max_batch_size:
            array = array[0]
        datatype, shape, raw = _content(output, array, model)
        placement = output.placement
        if placement is not None:
            memory.write(placement, raw)
        described.append((output.tensor.name, datatype, shape, placement))
        raws.append(b"" if placement else raw)
    head = _head(model.name, model.version_text, tuple(described))
    # The fields of a message may be written in any order.
    tail = pb.ModelInferResponse(id=request_id, raw_output_contents=raws)
    return SerializedResponse(head + tail.SerializeToString())


def _wanted(output: pb.ModelInferRequest.InferRequestedOutputTensor, model: Model) -> WantedOutput:
    tensor = next((known for known in model.signature.outputs if known.name == output.name), None)
    if tensor is None:
        raise _invalid(f"unexpected inference output '{shortened(output.name)}' for model '{model.name}'")
    if not output.parameters:
        return WantedOutput(tensor=tensor)
    placement = placement_of(output.parameters)
    classes = 0
    if "classification" in output.parameters:
        classes = whole_number(output.parameters, "classification")
        if not classes:
            raise _invalid(f"output '{output.name}': parameter 'classification' must be at least 1")
        if placement is not None:
            raise _invalid(f"output '{output.name}': shared memory cannot be combined with 'classification'")
        check_classifiable(tensor)
    return WantedOutput(tensor=tensor, classes=classes, placement=placement)


def _content(output: WantedOutput, array: Rows, model: Model) -> tuple[str, tuple[int, ...], bytes]:
    """Datatype, shape and raw contents of one output."""
    if not output.classes:
        return output.tensor.datatype.name, array.shape, raw_of_array(array)
    if not model.signature.max_batch_size:
        texts = top_classes(array, output.classes, model.labels)
        return "BYTES", (len(texts),), raw_of_elements(texts)
    rows = [top_classes(row, output.classes, model.labels) for row in array]
    return "BYTES", (len(rows), len(rows[0])), raw_of_elements(text for row in rows for text in row)


Described = tuple[str, str, tuple[int, ...], Placement | None]


@lru_cache(maxsize=1024)
def _head(model_name: str, model_version: str, outputs: tuple[Described, ...]) -> bytes:
    response = pb.ModelInferResponse(model_name=model_name, model_version=model_version)
    for name, datatype, shape, placement in outputs:
        output = response.outputs.add(name=name, datatype=datatype, shape=shape)
        if placement is not None:
            output.parameters["shared_memory_region"].string_param = placement.region
            output.parameters["shared_memory_byte_size"].int64_param = placement.byte_size
            if placement.offset:
                output.parameters["shared_memory_offset"].int64_param = placement.offset
    return response.SerializeToString()


def _invalid(message: str) -> ServingError:
    return ServingError(ErrorKind.INVALID_ARGUMENT, message)
