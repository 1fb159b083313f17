"""The inputs of a request: each checked against the model's tensors before it can join a batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from conveyor_server.batch import Rows
from conveyor_server.datatypes import BYTES, MAX_AXES, Datatype
from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.inference import inference_pb2 as pb
from conveyor_server.inference.contents import array_of_raw, array_of_typed, check_byte_size, elements_of_raw
from conveyor_server.inference.shared_memory import Placement, SharedMemory, placement_of
from conveyor_server.model import Model
from conveyor_server.shortening import first_of, shortened
from conveyor_server.signature import TensorSignature, pack

Input = pb.ModelInferRequest.InferInputTensor


def read_inputs(request: pb.ModelInferRequest, model: Model, memory: SharedMemory) -> Rows | list[bytes]:
    """A request's inputs as rows for the model's batcher, or as encoded images where that is what came.

    Raises ServingError for whatever the model cannot take.
    """
    signature = model.signature
    _check_names(request, model)
    if request.raw_input_contents and any(tensor.HasField("contents") for tensor in request.inputs):
        raise _invalid("contents field must not be specified when using raw_input_contents for model '{}'", model)
    raws = iter(request.raw_input_contents)
    if _takes_images(model) and request.inputs[0].datatype == BYTES.name:
        images = _encoded_images(request.inputs[0], model, raws, memory)
        _check_all_used(raws, model)
        return images
    arrays = {}
    for tensor in request.inputs:
        expected = next(known for known in signature.inputs if known.name == tensor.name)
        shape = _shape_of(tensor)
        _check_tensor(tensor, shape, expected, model)
        arrays[tensor.name] = _array_of(tensor, shape, expected, raws, memory)
    _check_all_used(raws, model)
    ordered = [arrays[known.name] for known in signature.inputs]
    if not signature.max_batch_size:
        ordered = [array[np.newaxis] for array in ordered]
    _check_same_rows(ordered, model)
    return pack(signature.inputs, ordered)


def _array_of(
    tensor: Input, shape: tuple[int, ...], expected: TensorSignature, raws: Iterator[bytes], memory: SharedMemory
) -> Rows:
    datatype = expected.datatype
    if tensor.parameters and (placement := placement_of(tensor.parameters)):
        array = array_of_raw(tensor.name, _placed(tensor.name, placement, datatype, shape, memory), datatype, shape)
    elif tensor.HasField("contents"):
        array = array_of_typed(tensor.name, tensor.contents, datatype, shape)
    else:
        array = array_of_raw(tensor.name, _next_raw(tensor, raws), datatype, shape)
    return _texts(tensor.name, array) if datatype is BYTES else array


def _placed(name: str, placement: Placement, datatype: Datatype, shape: tuple[int, ...], memory: SharedMemory) -> bytes:
    """The bytes in shared memory, read only once their number is right."""
    if datatype is BYTES:
        return memory.read_elements(placement)
    check_byte_size(name, placement.byte_size, datatype, shape)
    return memory.read(placement)


def _texts(name: str, array: Rows) -> Rows:
    """Elements as ONNX Runtime takes them. Raises ServingError for bytes that are no text."""
    texts = np.empty(array.size, BYTES.dtype)
    try:
        texts[:] = [element.decode() for element in array.flat]
    except UnicodeDecodeError as error:
        message = f"input '{name}' holds bytes that are not text in UTF-8 ({error.reason})"
        raise ServingError(ErrorKind.INVALID_ARGUMENT, message) from error
    return texts.reshape(array.shape)


def _next_raw(tensor: Input, raws: Iterator[bytes]) -> bytes:
    raw = next(raws, None)
    if raw is None:
        message = f"unable to find data for input tensor '{tensor.name}'"
        raise ServingError(ErrorKind.INVALID_ARGUMENT, message)
    return raw


def _encoded_images(tensor: Input, model: Model, raws: Iterator[bytes], memory: SharedMemory) -> list[bytes]:
    """The image files of a BYTES input, one a row."""
    shape = _shape_of(tensor)
    limit = model.signature.max_batch_size
    if shape[1:] not in ((), (1,)) or not shape or not 0 < shape[0] <= limit:
        expected = f"[n] or [n,1] with n from 1 to {limit}, for encoded images"
        raise _wrong_shape(tensor, shape, expected, model)
    if tensor.parameters and (placement := placement_of(tensor.parameters)):
        return elements_of_raw(tensor.name, memory.read_elements(placement), shape[0])
    if tensor.HasField("contents"):
        return list(array_of_typed(tensor.name, tensor.contents, BYTES, shape).ravel())
    return elements_of_raw(tensor.name, _next_raw(tensor, raws), shape[0])


def _check_all_used(raws: Iterator[bytes], model: Model) -> None:
    if next(raws, None) is not None:
        raise _invalid("raw_input_contents has more entries than model '{}' has inputs for them", model)


def _takes_images(model: Model) -> bool:
    return model.contract is not None and model.contract.HasField("preprocessing")


def _check_names(request: pb.ModelInferRequest, model: Model) -> None:
    expected = [tensor.name for tensor in model.signature.inputs]
    given = [tensor.name for tensor in request.inputs]
    if given == expected:
        return
    for name in given:
        if name not in expected:
            raise _invalid(f"unexpected inference input '{shortened(name)}' for model '{{}}'", model)
    if sorted(given) != sorted(expected):
        raise _invalid(
            f"expected {len(expected)} inputs {expected} but got {len(given)} [{first_of(given)}] for model '{{}}'",
            model,
        )


def _check_tensor(tensor: Input, shape: tuple[int, ...], expected: TensorSignature, model: Model) -> None:
    if tensor.datatype != expected.datatype.name:
        message = (
            f"inference input '{tensor.name}' data-type is '{shortened(tensor.datatype)}', but model '{{}}' expects"
        )
        raise _invalid(f"{message} '{expected.datatype.name}'", model)
    signature = model.signature
    if signature.max_batch_size:
        if not shape or shape[0] < 1 or shape[1:] != expected.shape:
            raise _wrong_shape(tensor, shape, _text(signature.full_shape(expected)), model)
        if shape[0] > signature.max_batch_size:
            raise _invalid(f"inference request batch-size must be <= {signature.max_batch_size} for '{{}}'", model)
    elif not _fits(shape, expected.shape):
        raise _wrong_shape(tensor, shape, _text(expected.shape), model)


def _fits(shape: tuple[int, ...], expected: tuple[int, ...]) -> bool:
    if len(shape) != len(expected):
        return False
    return all(size == known or (known < 0 <= size) for size, known in zip(shape, expected, strict=True))


def _check_same_rows(arrays: Sequence[Rows], model: Model) -> None:
    counts = {len(array) for array in arrays}
    if len(counts) > 1:
        raise _invalid(
            f"all inputs must have the same batch size, but they have {sorted(counts)} for model '{{}}'", model
        )


def _wrong_shape(tensor: Input, shape: tuple[int, ...], expected: str, model: Model) -> ServingError:
    start = f"unexpected shape for input '{tensor.name}' for model '{{}}'."
    return _invalid(f"{start} Expected {expected}, got {_text(shape)}", model)


def _shape_of(tensor: Input) -> tuple[int, ...]:
    """Of a shape that no model can have only so much as shows that: each axis would become an object of its own."""
    return tuple(tensor.shape[: MAX_AXES + 1])


def _text(shape: Sequence[int]) -> str:
    return f"[{first_of(shape)}]"


def _invalid(message: str, model: Model) -> ServingError:
    return ServingError(ErrorKind.INVALID_ARGUMENT, message.replace("{}", model.name))
