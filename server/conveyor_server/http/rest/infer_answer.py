"""The answer to an inference request: JSON, and the outputs that were wanted as binary data behind it."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from conveyor_server.http.rest.compression import IDENTITY, deflate
from conveyor_server.http.rest.infer_request import HEADER_LENGTH, SHARED_MEMORY, InferenceCall
from conveyor_server.http.rest.messages import Json, text_of
from conveyor_server.http.rest.tensors import json_of_raw
from conveyor_server.inference import inference_pb2 as pb

JSON: Final = "application/json"
BINARY: Final = "application/octet-stream"


async def inference_response(call: InferenceCall, answer: pb.ModelInferResponse, accepted: str) -> Response:
    """The answer as its caller wants it, smaller where `accepted`, the Accept-Encoding, lets it be."""
    content: Json = {"model_name": answer.model_name, "model_version": answer.model_version}
    if answer.id:
        content["id"] = answer.id
    if answer.parameters:
        content["parameters"] = _parameters(answer.parameters)
    binary: list[bytes] = []
    content["outputs"] = outputs = []
    for place, output in enumerate(answer.outputs):
        as_binary = call.binary[place] if call.binary else call.all_binary
        outputs.append(_output(output, answer.raw_output_contents[place], binary if as_binary else None))
    text = text_of(content)
    headers = {"content-type": BINARY, HEADER_LENGTH: str(len(text))} if binary else {"content-type": JSON}
    body, encoding = await deflate(b"".join((text, *binary)), accepted)
    if encoding != IDENTITY:
        headers["content-encoding"] = encoding
    return Response(body, headers=headers)


def _output(output: pb.ModelInferResponse.InferOutputTensor, raw: bytes, binary: list[bytes] | None) -> Json:
    """One output; its bytes are added to `binary`, if that is where they go."""
    content: Json = {"name": output.name, "datatype": output.datatype, "shape": list(output.shape)}
    parameters = _parameters(output.parameters)
    if SHARED_MEMORY in parameters:
        pass  # They are where the caller wanted them.
    elif binary is not None:
        parameters["binary_data_size"] = len(raw)
        binary.append(raw)
    else:
        content["data"] = json_of_raw(output.name, raw, output.datatype, output.shape)
    if parameters:
        content["parameters"] = parameters
    return content


def _parameters(parameters: Any) -> Json:
    given = {name: (value, value.WhichOneof("parameter_choice")) for name, value in sorted(parameters.items())}
    return {name: getattr(value, kind) for name, (value, kind) in given.items() if kind is not None}
