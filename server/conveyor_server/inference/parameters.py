"""What a request says beside its tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.inference import inference_pb2 as pb
from conveyor_server.shortening import shortened

FINAL_RESPONSE: Final = "triton_final_response"

_RESERVED_PREFIX: Final = "triton_"
_MARK_FINAL: Final = "triton_enable_empty_final_response"
_SEQUENCE: Final = frozenset({"sequence_id", "sequence_start", "sequence_end"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestParameters:
    """The parameters that mean something here. Others are the caller's own affair."""

    # How long the request may wait, in seconds; None for no limit of its own.
    timeout: float | None = None
    # 1 is the highest; 0 for the default.
    priority: int = 0
    # Whether answers in a stream say that they are the last for their request.
    marks_final_response: bool = False


DEFAULTS: Final = RequestParameters()


def read_parameters(parameters: Mapping[str, pb.InferParameter]) -> RequestParameters:
    """Raises ServingError for a parameter of the wrong type, or one that asks for what is not served."""
    if not parameters:
        return DEFAULTS
    for name, parameter in parameters.items():
        _check_served(name, parameter)
    timeout = whole_number(parameters, "timeout")
    return RequestParameters(
        timeout=timeout / 1_000_000 if timeout else None,
        priority=whole_number(parameters, "priority"),
        marks_final_response=_MARK_FINAL in parameters and parameters[_MARK_FINAL].bool_param,
    )


def whole_number(parameters: Mapping[str, pb.InferParameter], name: str) -> int:
    """An optional parameter that is a whole number of at least 0; 0 when it is absent."""
    if name not in parameters:
        return 0
    parameter = parameters[name]
    kind = parameter.WhichOneof("parameter_choice")
    value = parameter.int64_param if kind == "int64_param" else parameter.uint64_param
    if kind not in ("int64_param", "uint64_param") or value < 0:
        raise _invalid(f"parameter '{name}' is not a whole number of at least 0, as int64_param or uint64_param")
    return value


def _check_served(name: str, parameter: pb.InferParameter) -> None:
    if name in _SEQUENCE and _is_given(parameter):
        message = f"parameter '{name}': sequences of requests that share state are not served; send each by itself"
        raise ServingError(ErrorKind.UNSUPPORTED, message)
    if name.startswith(_RESERVED_PREFIX) and name != _MARK_FINAL:
        raise _invalid(f"parameter '{shortened(name)}': names that start with '{_RESERVED_PREFIX}' are reserved")


def _is_given(parameter: pb.InferParameter) -> bool:
    """Some clients send "no sequence" as 0, an empty name or false."""
    kind = parameter.WhichOneof("parameter_choice")
    return kind is not None and bool(getattr(parameter, kind))


def _invalid(message: str) -> ServingError:
    return ServingError(ErrorKind.INVALID_ARGUMENT, message)
