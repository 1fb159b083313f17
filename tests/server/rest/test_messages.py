"""Messages as JSON: what protobuf's own reader understands, and what the schema of the message says."""

import json

import numpy as np
import pytest
from google.protobuf import json_format
from google.protobuf.message import Message
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it has no types

from conveyor.v1 import classifier_pb2, model_pb2
from conveyor_contract.preprocessing import Preprocessor
from conveyor_server.http.rest.messages import json_of, text_of
from conveyor_server.http.rest.schemas import schema_of
from conveyor_server.inference import inference_pb2 as pb
from tests.models import tiny_contract, tiny_golden, tiny_graph


def contract() -> model_pb2.ModelContract:
    preprocessor = Preprocessor(
        height=2,
        width=2,
        colour_mode=model_pb2.COLOUR_MODE_GRAYSCALE,
        resize_mode=model_pb2.RESIZE_MODE_STRETCH,
        shortest_side=0,
    )
    made = tiny_contract("m", 3, preprocessor, 8)
    made.evidence.checks.add(name="parity", ok=True, figures={"largest": 1e-7, "nan": float("inf")})
    made.provenance.split_seed = 2**63
    return made


def model() -> classifier_pb2.GetModelResponse:
    weights = np.ones((4, 3), np.float32)
    graph = tiny_graph(weights, (2, 2, 1)).SerializeToString()
    return classifier_pb2.GetModelResponse(
        status=classifier_pb2.ModelStatus(model_name="m", state=classifier_pb2.MODEL_STATE_READY),
        contract=contract(),
        golden_samples=tiny_golden(graph, weights, np.zeros((1, 2, 2, 1), np.uint8)),
    )


def config() -> pb.ModelConfig:
    made = pb.ModelConfig(name="m", version_policy=pb.ModelVersionPolicy(latest=pb.ModelVersionPolicy.Latest()))
    made.parameters["key"].string_value = "value"
    made.input.add(name="x", data_type=pb.TYPE_UINT8, dims=[-1, 3])
    return made


MESSAGES = [model(), config(), pb.ModelConfig(), classifier_pb2.ListModelsResponse(), classifier_pb2.GetModelResponse()]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: f"{type(message).__name__} {message.ByteSize()}")
def test_a_message_survives_json_and_is_as_described(message: Message) -> None:
    content = json.loads(text_of(json_of(message)))
    back = type(message)()
    json_format.ParseDict(content, back)
    assert back == message
    Draft202012Validator(schema_of(type(message))).validate(content)


def test_numbers_are_numbers_and_short() -> None:
    prediction = classifier_pb2.Prediction(label="é", index=3, probability=0.1)
    assert text_of(json_of(prediction)) == '{"label":"é","index":3,"probability":0.1}'.encode()
    assert json_of(pb.ModelStatistics(inference_count=2**60))["inference_count"] == 2**60


def test_what_is_absent_is_left_out() -> None:
    assert json_of(classifier_pb2.Result()) == {}
    assert json_of(pb.ServerReadyResponse()) == {"ready": False}
