"""`/v2/models/{model_name}/infer`: JSON and binary data in and out, ModelInfer in between."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.http.rest.bodies import InferenceBody
from conveyor_server.http.rest.exchange import Exchange, Procedure
from conveyor_server.http.rest.infer_answer import BINARY, JSON, inference_response
from conveyor_server.http.rest.infer_request import HEADER_LENGTH, InferenceCall, read_header_length, read_inference
from conveyor_server.http.rest.operation import Operation, for_each_version
from conveyor_server.http.rest.raw_request import read_raw_inference
from conveyor_server.http.rest.schemas import BYTES_OF_A_FILE, TEXT, list_of, map_of, optional, record
from conveyor_server.http.rest.server_routes import MODEL_METADATA, model_of
from conveyor_server.inference import SERVICE
from conveyor_server.inference import inference_pb2 as pb

MODEL_INFER: Final = Procedure(path=f"/{SERVICE}/ModelInfer", answer=pb.ModelInferResponse)

_ANY: Final[dict[str, object]] = {}
_OUTPUT: Final = optional(
    record(name=TEXT, datatype=TEXT, shape=list_of({"type": "integer"})), data=list_of(_ANY), parameters=map_of(_ANY)
)
_ANSWER: Final = optional(
    record(model_name=TEXT, model_version=TEXT, outputs=list_of(_OUTPUT)), id=TEXT, parameters=map_of(_ANY)
)


async def infer(exchange: Exchange) -> Response:
    """Runs the model."""
    name, version = model_of(exchange)
    if not exchange.knows_model(name, version):
        # The method says so, whatever the body holds.
        await exchange.ask(MODEL_INFER, pb.ModelInferRequest(model_name=name, model_version=version))
    body = await exchange.body()
    header_length = read_header_length(exchange.headers.get(HEADER_LENGTH), len(body))
    exchange.check_json_size(header_length)
    if header_length or HEADER_LENGTH not in exchange.headers:
        call = read_inference(body, header_length, name, version)
    else:
        call = await _raw(exchange, body)
    answer = await exchange.ask(MODEL_INFER, call.message)
    return await inference_response(call, answer, exchange.headers.get("accept-encoding", ""))


async def _raw(exchange: Exchange, body: bytes) -> InferenceCall:
    if exchange.media_type == JSON:
        words = f"the Content-Type says JSON, and {HEADER_LENGTH}: 0 that there is none; leave one of them out"
        raise ServingError(ErrorKind.INVALID_ARGUMENT, words)
    name, version = model_of(exchange)
    described = await exchange.ask(MODEL_METADATA, pb.ModelMetadataRequest(name=name, version=version))
    return read_raw_inference(body, described, version)


def infer_operations() -> list[Operation]:
    """Inference by the protocol."""
    return for_each_version(
        Operation(
            verb="POST",
            path="/v2/models/{model_name}/infer",
            name="infer",
            summary="Runs a model on tensors, or on encoded images given as BYTES",
            procedure=MODEL_INFER,
            handler=infer,
            answer={JSON: _ANSWER, BINARY: BYTES_OF_A_FILE},
            body=InferenceBody,
            other_bodies={BINARY: BYTES_OF_A_FILE},
            headers={HEADER_LENGTH: "Bytes of JSON, behind which binary data follows; 0 when the body is one tensor."},
        )
    )
