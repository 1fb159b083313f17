"""The parameters of a request, in every type in which clients send them."""

import pytest

from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.inference import inference_pb2 as pb
from conveyor_server.inference.parameters import (
    DEFAULTS,
    RequestParameters,
    marks_final_response,
    read_parameters,
)


def read(**parameters: pb.InferParameter) -> RequestParameters:
    return read_parameters(parameters)


def test_nothing_said_is_the_default() -> None:
    assert read() is DEFAULTS


@pytest.mark.parametrize("parameter", [pb.InferParameter(int64_param=1), pb.InferParameter(uint64_param=1)])
def test_a_priority_may_be_signed_or_not(parameter: pb.InferParameter) -> None:
    assert read(priority=parameter).priority == 1


def test_a_timeout_is_in_microseconds_and_zero_is_none() -> None:
    assert read(timeout=pb.InferParameter(int64_param=1_500_000)).timeout == 1.5
    assert read(timeout=pb.InferParameter(int64_param=0)).timeout is None


def test_final_responses_are_marked_only_where_that_is_true() -> None:
    for value in (True, False):
        parameters = {"triton_enable_empty_final_response": pb.InferParameter(bool_param=value)}
        assert read_parameters(parameters) == DEFAULTS
        assert marks_final_response(parameters) is value
    assert not marks_final_response({})


def test_a_callers_own_parameters_are_left_alone() -> None:
    own = pb.InferParameter(double_param=0.5)
    assert read(own=own) == DEFAULTS


def test_no_sequence_may_be_said_in_so_many_words() -> None:
    none = {"sequence_id": pb.InferParameter(int64_param=0), "sequence_end": pb.InferParameter(bool_param=False)}
    assert read_parameters(none) == DEFAULTS


@pytest.mark.parametrize(
    ("name", "parameter", "kind"),
    [
        ("timeout", pb.InferParameter(int64_param=-1), ErrorKind.INVALID_ARGUMENT),
        ("timeout", pb.InferParameter(string_param="1"), ErrorKind.INVALID_ARGUMENT),
        ("priority", pb.InferParameter(double_param=1), ErrorKind.INVALID_ARGUMENT),
        ("priority", pb.InferParameter(), ErrorKind.INVALID_ARGUMENT),
        ("triton_anything", pb.InferParameter(bool_param=True), ErrorKind.INVALID_ARGUMENT),
        ("sequence_id", pb.InferParameter(string_param="a"), ErrorKind.UNSUPPORTED),
        ("sequence_start", pb.InferParameter(bool_param=True), ErrorKind.UNSUPPORTED),
    ],
)
def test_what_cannot_be_honoured_is_refused(name: str, parameter: pb.InferParameter, kind: ErrorKind) -> None:
    with pytest.raises(ServingError, match=f"'{name}'") as caught:
        read_parameters({name: parameter})
    assert caught.value.kind is kind
