"""Answers in a stream say that they are the last for their request where the request wishes it, and nowhere else."""

from conveyor_server.inference import inference_pb2 as pb
from tests.server.process import ServerProcess

WISH = "triton_enable_empty_final_response"


def request(model: str, wish: bool | None) -> pb.ModelInferRequest:
    """For one 8x8 image."""
    asked = pb.ModelInferRequest(model_name=model, raw_input_contents=[bytes(64)])
    asked.inputs.add(name="image", datatype="UINT8", shape=[1, 8, 8, 1])
    if wish is not None:
        asked.parameters[WISH].bool_param = wish
    return asked


def test_a_wish_may_be_denied_in_so_many_words(server: ServerProcess) -> None:
    stream = server.channel.stream_stream(
        "/inference.GRPCInferenceService/ModelStreamInfer",
        request_serializer=pb.ModelInferRequest.SerializeToString,
        response_deserializer=pb.ModelStreamInferResponse.FromString,
    )
    wishes = [(model, wish) for model in ("tiny", "nobody") for wish in (True, False, None)]
    answers = list(stream(iter([request(model, wish) for model, wish in wishes]), timeout=30))
    assert [bool(answer.error_message) for answer in answers] == [model == "nobody" for model, _ in wishes]
    marked = ["triton_final_response" in answer.infer_response.parameters for answer in answers]
    assert marked == [wish is True for _, wish in wishes]
