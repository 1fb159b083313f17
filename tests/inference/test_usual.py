"""The short way of the usual request: it says what the general way says, and keeps its hands off everything else."""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest

from conveyor.v1 import model_pb2
from conveyor_server.datatypes import DATATYPES
from conveyor_server.inference import inference_pb2 as pb
from conveyor_server.inference.inputs import read_inputs
from conveyor_server.inference.outputs import read_wanted, write_answer
from conveyor_server.inference.shared_memory import SharedMemory
from conveyor_server.inference.usual import UsualRequest
from conveyor_server.model import Model
from conveyor_server.signature import Signature, TensorSignature

ROWS = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
Request = pb.ModelInferRequest


def model_of(datatype: str = "FP32", max_batch_size: int = 4, inputs: int = 1) -> Model:
    """A model without a session: nothing here runs it."""
    tensors = [TensorSignature(name=f"x{i}", datatype=DATATYPES[datatype], shape=(2, 3)) for i in range(inputs)]
    output = TensorSignature(name="y", datatype=DATATYPES["FP32"], shape=(5,))
    return Model(
        name="m",
        version=3,
        version_text="3",
        signature=Signature(inputs=tensors, outputs=[output], max_batch_size=max_batch_size),
        labels=(),
        contract=None,
        golden=model_pb2.GoldenSamples(),
        file_digest="",
        provider="",
        reader=None,
        batcher=cast(Any, None),
    )


def request_of(**fields: Any) -> Request:
    """A usual request; `fields` change the message."""
    request = Request(model_name="m", raw_input_contents=[ROWS.tobytes()], **fields)
    request.inputs.add(name="x0", datatype="FP32", shape=ROWS.shape)
    return request


@pytest.mark.parametrize("fields", [{}, {"id": "seven"}, {"outputs": [Request.InferRequestedOutputTensor(name="y")]}])
def test_both_ways_read_and_answer_alike(fields: dict[str, Any]) -> None:
    model, memory, request = model_of(), SharedMemory(), request_of(**fields)
    usual = UsualRequest(model)
    rows = usual.rows_of(request)
    assert rows is not None
    np.testing.assert_array_equal(rows, ROWS)
    np.testing.assert_array_equal(rows, cast(Any, read_inputs(request, model, memory)))
    for count in (1, 2, 1):
        output = np.random.default_rng(count).random((count, 5), np.float32)
        general = write_answer(model, request.id, read_wanted(request, model), output, memory)
        expected = pb.ModelInferResponse.FromString(general.SerializeToString())
        quick = pb.ModelInferResponse.FromString(usual.answer(output))
        # The handler adds the request's id.
        quick.id = request.id
        assert quick == expected
        assert quick.model_version == "3"


def changed(change: Callable[[Request], object]) -> Request:
    """A usual request, changed."""
    request = request_of()
    change(request)
    return request


@pytest.mark.parametrize(
    "change",
    [
        lambda request: request.ClearField("inputs"),
        lambda request: request.inputs.add(name="x1"),
        lambda request: request.ClearField("raw_input_contents"),
        lambda request: request.raw_input_contents.append(b""),
        lambda request: request.parameters["priority"].MergeFrom(pb.InferParameter(int64_param=1)),
        lambda request: request.inputs[0].parameters["shared_memory_region"].MergeFrom(pb.InferParameter()),
        lambda request: request.inputs[0].contents.fp32_contents.append(1.0),
        lambda request: setattr(request.inputs[0], "name", "other"),
        lambda request: setattr(request.inputs[0], "datatype", "INT32"),
        lambda request: request.inputs[0].shape.append(1),
        lambda request: request.inputs[0].shape.__setitem__(0, 1),
        lambda request: request.inputs[0].shape.__setitem__(0, 0),
        lambda request: request.inputs[0].shape.__setitem__(0, -1),
        lambda request: request.inputs[0].shape.__setitem__(0, 5),
        lambda request: request.inputs[0].ClearField("shape"),
        lambda request: request.outputs.add(name="other"),
        lambda request: request.outputs.add(name="y").parameters["classification"].MergeFrom(pb.InferParameter()),
        lambda request: request.outputs.extend([Request.InferRequestedOutputTensor(name="y")] * 2),
    ],
)
def test_whatever_is_not_usual_is_left_to_the_general_way(change: Callable[[Request], object]) -> None:
    assert UsualRequest(model_of()).rows_of(changed(change)) is None


@pytest.mark.parametrize("model", [model_of("BYTES"), model_of(max_batch_size=0), model_of(inputs=2)])
def test_models_that_are_not_usual_are_left_to_the_general_way(model: Model) -> None:
    assert UsualRequest(model).rows_of(request_of()) is None
