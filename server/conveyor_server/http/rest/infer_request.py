"""An inference request from HTTP: JSON, with the tensors in it or as binary data behind it, as one gRPC message."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

from conveyor_server.digits import number_in
from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.http.rest.bodies import INT64_MAX, UINT64_MAX, InferenceBody, InputTensor
from conveyor_server.http.rest.exchange import parse_json
from conveyor_server.http.rest.tensors import raw_of_json
from conveyor_server.inference import inference_pb2 as pb
from conveyor_server.shortening import shortened

HEADER_LENGTH: Final = "Inference-Header-Content-Length"
SHARED_MEMORY: Final = "shared_memory_region"

_BINARY_SIZE: Final = "binary_data_size"
_BINARY: Final = "binary_data"
_ALL_BINARY: Final = "binary_data_output"


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceCall:
    """The message, and how its caller wants the outputs."""

    message: pb.ModelInferRequest
    # One for each output that is named, in their order.
    binary: tuple[bool, ...] = ()
    # For all outputs, when none is named.
    all_binary: bool = False


@dataclass(slots=True, kw_only=True)
class _BinaryData:
    """What stands behind the JSON, taken piece by piece."""

    rest: memoryview

    def take(self, name: str, size: object) -> bytes:
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise _invalid(f"input '{name}': {_BINARY_SIZE} is not a whole number of at least 0")
        if size > len(self.rest):
            raise _invalid(f"input '{name}' needs {size} bytes of binary data, but {len(self.rest)} are left")
        taken, self.rest = bytes(self.rest[:size]), self.rest[size:]
        return taken


def read_header_length(text: str | None, body_bytes: int) -> int:
    """How many bytes of the body are JSON. Raises ServingError when that cannot be."""
    if text is None:
        return body_bytes
    length = number_in(text)
    if length is None or length > body_bytes:
        raise _invalid(
            f"the header {HEADER_LENGTH} is {shortened(text)!r}; expected the JSON's length, 0 to {body_bytes} bytes"
        )
    return length


def read_inference(body: bytes, header_length: int, model_name: str, model_version: str) -> InferenceCall:
    """The request as a message; what the model says to it is found out later. Raises ServingError."""
    given = parse_json(InferenceBody, body[:header_length])
    parameters = dict(given.parameters)
    all_binary = _flag(parameters, _ALL_BINARY, "the request", otherwise=False)
    message = pb.ModelInferRequest(model_name=model_name, model_version=model_version, id=given.id)
    write_parameters(message.parameters, parameters)
    binary_data = _BinaryData(rest=memoryview(body)[header_length:])
    for tensor in given.inputs:
        _add_input(message, tensor, binary_data)
    if binary_data.rest:
        raise _invalid(f"{len(binary_data.rest)} bytes of binary data are left over behind the last input's")
    binary = []
    for wanted in given.outputs:
        parameters = dict(wanted.parameters)
        binary.append(_flag(parameters, _BINARY, f"output '{shortened(wanted.name)}'", otherwise=all_binary))
        write_parameters(message.outputs.add(name=wanted.name).parameters, parameters)
    return InferenceCall(message=message, binary=tuple(binary), all_binary=all_binary)


def write_parameters(target: MutableMapping[str, Any], parameters: Mapping[str, Any]) -> None:
    """Parameters as the message has them. Raises ServingError for a value that they cannot hold."""
    for name, value in parameters.items():
        kind, parameter = _kind_of(value), target[name]
        if kind not in parameter.DESCRIPTOR.fields_by_name:
            raise _invalid(
                f"parameter '{shortened(name)}' is not true, false, a text or a number that this method takes"
            )
        setattr(parameter, kind, value)


def _kind_of(value: object) -> str:
    match value:
        case bool():
            return "bool_param"
        case int() if -INT64_MAX - 1 <= value <= INT64_MAX:
            return "int64_param"
        case int() if 0 < value <= UINT64_MAX:
            return "uint64_param"
        case float():
            return "double_param"
        case str():
            return "string_param"
        case _:
            return ""


def _add_input(message: pb.ModelInferRequest, tensor: InputTensor, binary_data: _BinaryData) -> None:
    # In sentences.
    name = shortened(tensor.name)
    parameters = dict(tensor.parameters)
    size = parameters.pop(_BINARY_SIZE, None)
    sources = {
        "'data'": tensor.data is not None,
        _BINARY_SIZE: size is not None,
        SHARED_MEMORY: SHARED_MEMORY in parameters,
    }
    given = [source for source, is_given in sources.items() if is_given]
    if len(given) > 1:
        raise _invalid(f"input '{name}' has both {given[0]} and {given[1]}; give its values in one way")
    added = message.inputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
    write_parameters(added.parameters, parameters)
    if size is not None:
        message.raw_input_contents.append(binary_data.take(name, size))
    elif tensor.data is not None:
        message.raw_input_contents.append(raw_of_json(name, tensor.data, tensor.datatype, tensor.shape))
    elif not given:
        raise _invalid(f"unable to find data for input tensor '{name}': it has no 'data' and no {_BINARY_SIZE}")


def _flag(parameters: dict[str, Any], name: str, subject: str, *, otherwise: bool) -> bool:
    """Takes a parameter that is for HTTP only."""
    value = parameters.pop(name, otherwise)
    if not isinstance(value, bool):
        raise _invalid(f"{subject}: parameter '{name}' is not true or false")
    return value


def _invalid(message: str) -> ServingError:
    return ServingError(ErrorKind.INVALID_ARGUMENT, message)
