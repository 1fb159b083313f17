"""Inputs of the general way: what is wrong is found out before anything large is done for it."""

import pytest

from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.inference import inference_pb2 as pb
from conveyor_server.inference.inputs import read_inputs
from conveyor_server.inference.shared_memory import Placement, SharedMemory
from tests.inference.test_usual import model_of


class NeverRead(SharedMemory):
    """Shared memory that nobody may read."""

    def read(self, placement: Placement) -> bytes:
        raise AssertionError(f"{placement.byte_size} bytes were read")


def request_of(datatype: str, byte_size: int) -> pb.ModelInferRequest:
    request = pb.ModelInferRequest(model_name="m")
    tensor = request.inputs.add(name="x0", datatype=datatype, shape=[2, 2, 3])
    tensor.parameters["shared_memory_region"].string_param = "region"
    tensor.parameters["shared_memory_byte_size"].int64_param = byte_size
    return request


@pytest.mark.parametrize(("datatype", "sentence"), [("FP32", "expecting 48"), ("BYTES", "over the limit of 1000")])
def test_shared_memory_of_a_wrong_size_is_not_read(datatype: str, sentence: str) -> None:
    with pytest.raises(ServingError, match=sentence) as refused:
        read_inputs(request_of(datatype, 1 << 40), model_of(datatype), NeverRead(max_elements_bytes=1000))
    assert refused.value.kind is ErrorKind.INVALID_ARGUMENT


def test_of_a_shape_without_end_only_the_beginning_is_looked_at() -> None:
    request = pb.ModelInferRequest(model_name="m", raw_input_contents=[b""])
    request.inputs.add(name="x0", datatype="FP32", shape=[1] * 1_000_000)
    with pytest.raises(ServingError, match=r"Expected \[-1,2,3\], got \[1,1,") as refused:
        read_inputs(request, model_of(), SharedMemory())
    assert "(65 in all)" in str(refused.value)
