"""The outputs that a request asks for."""

import pytest

from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.inference import inference_pb2 as pb
from conveyor_server.inference.outputs import read_wanted
from tests.inference.test_usual import model_of


def request_for(count: int) -> pb.ModelInferRequest:
    return pb.ModelInferRequest(outputs=[pb.ModelInferRequest.InferRequestedOutputTensor(name="y")] * count)


def test_an_output_is_not_answered_again_and_again() -> None:
    assert len(read_wanted(request_for(1), model_of())) == 1
    with pytest.raises(ServingError, match="1000 outputs are asked for, but model 'm' has 1") as refused:
        read_wanted(request_for(1000), model_of())
    assert refused.value.kind is ErrorKind.INVALID_ARGUMENT
