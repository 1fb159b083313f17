"""`/v1/models`: the models, and the contract that each carries."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from conveyor.v1 import classifier_pb2 as pb
from conveyor_server.http.rest.bodies import ModelQuery, ModelsQuery
from conveyor_server.http.rest.exchange import Exchange, Procedure
from conveyor_server.http.rest.messages import json_of
from conveyor_server.http.rest.operation import Operation, for_each_version, json_content, json_response
from conveyor_server.http.rest.schemas import schema_of
from conveyor_server.http.rest.server_routes import model_of
from conveyor_server.service import SERVICE

LIST_MODELS: Final = Procedure(path=f"/{SERVICE}/ListModels", answer=pb.ListModelsResponse)
GET_MODEL: Final = Procedure(path=f"/{SERVICE}/GetModel", answer=pb.GetModelResponse)


async def list_models(exchange: Exchange) -> Response:
    """Every version with its state."""
    asked = exchange.query(ModelsQuery)
    return json_response(json_of(await exchange.ask(LIST_MODELS, pb.ListModelsRequest(ready_only=asked.ready))))


async def get_model(exchange: Exchange) -> Response:
    """A version's state and, once it is loaded, its contract."""
    asked = exchange.query(ModelQuery)
    name, version = model_of(exchange)
    request = pb.GetModelRequest(model_name=name, model_version=version, include_golden_samples=asked.golden_samples)
    return json_response(json_of(await exchange.ask(GET_MODEL, request)))


def model_operations() -> list[Operation]:
    """The models."""
    return [
        Operation(
            verb="GET",
            path="/v1/models",
            name="list_models",
            summary="Every version in the repository, with its state",
            procedure=LIST_MODELS,
            handler=list_models,
            answer=json_content(schema_of(pb.ListModelsResponse)),
            query=ModelsQuery,
        ),
        *for_each_version(
            Operation(
                verb="GET",
                path="/v1/models/{model_name}",
                name="get_model",
                summary="A version's state and its contract",
                procedure=GET_MODEL,
                handler=get_model,
                answer=json_content(schema_of(pb.GetModelResponse)),
                query=ModelQuery,
            )
        ),
    ]
