"""The protocol's `/v2`, its health and its models: each operation is one gRPC method."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from conveyor_server.http.rest.exchange import Exchange, Procedure
from conveyor_server.http.rest.messages import json_of
from conveyor_server.http.rest.operation import Operation, for_each_version, json_content, json_response
from conveyor_server.http.rest.schemas import TEXT, record, schema_of
from conveyor_server.inference import SERVICE
from conveyor_server.inference import inference_pb2 as pb

SERVER_LIVE: Final = Procedure(path=f"/{SERVICE}/ServerLive", answer=pb.ServerLiveResponse)
SERVER_READY: Final = Procedure(path=f"/{SERVICE}/ServerReady", answer=pb.ServerReadyResponse)
SERVER_METADATA: Final = Procedure(path=f"/{SERVICE}/ServerMetadata", answer=pb.ServerMetadataResponse)
MODEL_READY: Final = Procedure(path=f"/{SERVICE}/ModelReady", answer=pb.ModelReadyResponse)
MODEL_METADATA: Final = Procedure(path=f"/{SERVICE}/ModelMetadata", answer=pb.ModelMetadataResponse)
MODEL_CONFIG: Final = Procedure(path=f"/{SERVICE}/ModelConfig", answer=pb.ModelConfigResponse)
MODEL_STATISTICS: Final = Procedure(path=f"/{SERVICE}/ModelStatistics", answer=pb.ModelStatisticsResponse)

NOT_READY: Final = 503
_TRUE_OR_FALSE: Final = {"type": "boolean"}


async def server_live(exchange: Exchange) -> Response:
    """Whether the server answers at all."""
    return json_response(json_of(await exchange.ask(SERVER_LIVE, pb.ServerLiveRequest())))


async def server_ready(exchange: Exchange) -> Response:
    """Whether requests will be answered well."""
    answer = await exchange.ask(SERVER_READY, pb.ServerReadyRequest())
    return json_response(json_of(answer), 200 if answer.ready else NOT_READY)


async def server_metadata(exchange: Exchange) -> Response:
    """Name, version and extensions of the server."""
    return json_response(json_of(await exchange.ask(SERVER_METADATA, pb.ServerMetadataRequest())))


async def model_ready(exchange: Exchange) -> Response:
    """Whether the model serves."""
    name, version = model_of(exchange)
    answer = await exchange.ask(MODEL_READY, pb.ModelReadyRequest(name=name, version=version))
    return json_response({"name": name, **json_of(answer)}, 200 if answer.ready else NOT_READY)


async def model_metadata(exchange: Exchange) -> Response:
    """The model's tensors."""
    name, version = model_of(exchange)
    return json_response(
        json_of(await exchange.ask(MODEL_METADATA, pb.ModelMetadataRequest(name=name, version=version)))
    )


async def model_config(exchange: Exchange) -> Response:
    """How the model is batched and run."""
    name, version = model_of(exchange)
    answer = await exchange.ask(MODEL_CONFIG, pb.ModelConfigRequest(name=name, version=version))
    return json_response(json_of(answer.config))


async def model_statistics(exchange: Exchange) -> Response:
    """What was counted since the model was loaded; of all models without a name."""
    name, version = model_of(exchange)
    request = pb.ModelStatisticsRequest(name=name, version=version)
    return json_response(json_of(await exchange.ask(MODEL_STATISTICS, request)))


def model_of(exchange: Exchange) -> tuple[str, str]:
    """The path's model and version; empty where it has none."""
    return exchange.path.get("model_name", ""), exchange.path.get("model_version", "")


def server_operations() -> list[Operation]:
    """The server, its health, and what there is to know of a model."""
    statistics = json_content(schema_of(pb.ModelStatisticsResponse))
    return [
        Operation(
            verb="GET",
            path="/v2",
            name="server_metadata",
            summary="Name, version and extensions of the server",
            procedure=SERVER_METADATA,
            handler=server_metadata,
            answer=json_content(schema_of(pb.ServerMetadataResponse)),
        ),
        Operation(
            verb="GET",
            path="/v2/health/live",
            name="server_live",
            summary="Whether the server answers at all",
            procedure=SERVER_LIVE,
            handler=server_live,
            answer=json_content(schema_of(pb.ServerLiveResponse)),
        ),
        Operation(
            verb="GET",
            path="/v2/health/ready",
            name="server_ready",
            summary="Whether requests will be answered well",
            procedure=SERVER_READY,
            handler=server_ready,
            answer=json_content(schema_of(pb.ServerReadyResponse)),
            also={NOT_READY: "Not ready"},
        ),
        # Before the models, one of which could be called so.
        Operation(
            verb="GET",
            path="/v2/models/stats",
            name="all_statistics",
            summary="What was counted of every model",
            procedure=MODEL_STATISTICS,
            handler=model_statistics,
            answer=statistics,
        ),
        *_model_operations(),
        *for_each_version(
            Operation(
                verb="GET",
                path="/v2/models/{model_name}/stats",
                name="model_statistics",
                summary="What was counted of a model since it was loaded",
                procedure=MODEL_STATISTICS,
                handler=model_statistics,
                answer=statistics,
            )
        ),
    ]


def _model_operations() -> list[Operation]:
    return [
        *for_each_version(
            Operation(
                verb="GET",
                path="/v2/models/{model_name}",
                name="model_metadata",
                summary="A model's tensors",
                procedure=MODEL_METADATA,
                handler=model_metadata,
                answer=json_content(schema_of(pb.ModelMetadataResponse)),
            )
        ),
        *for_each_version(
            Operation(
                verb="GET",
                path="/v2/models/{model_name}/ready",
                name="model_ready",
                summary="Whether a model serves",
                procedure=MODEL_READY,
                handler=model_ready,
                answer=json_content(record(name=TEXT, ready=_TRUE_OR_FALSE)),
                also={NOT_READY: "Not ready"},
            )
        ),
        *for_each_version(
            Operation(
                verb="GET",
                path="/v2/models/{model_name}/config",
                name="model_config",
                summary="How a model is batched and run",
                procedure=MODEL_CONFIG,
                handler=model_config,
                answer=json_content(schema_of(pb.ModelConfig)),
            )
        ),
    ]
