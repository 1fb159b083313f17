"""`/v2/repository`: what there is, and, where that is allowed, loading and unloading."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from conveyor_server.http.rest.bodies import IndexBody, LoadBody, UnloadBody
from conveyor_server.http.rest.exchange import Exchange, Procedure
from conveyor_server.http.rest.infer_request import write_parameters
from conveyor_server.http.rest.messages import json_of
from conveyor_server.http.rest.operation import Operation, json_content, json_response
from conveyor_server.http.rest.schemas import list_of, record, schema_of
from conveyor_server.inference import SERVICE
from conveyor_server.inference import inference_pb2 as pb

INDEX: Final = Procedure(path=f"/{SERVICE}/RepositoryIndex", answer=pb.RepositoryIndexResponse)
LOAD: Final = Procedure(path=f"/{SERVICE}/RepositoryModelLoad", answer=pb.RepositoryModelLoadResponse)
UNLOAD: Final = Procedure(path=f"/{SERVICE}/RepositoryModelUnload", answer=pb.RepositoryModelUnloadResponse)


async def index(exchange: Exchange) -> Response:
    """Every version with its state."""
    wanted = await exchange.json(IndexBody)
    answer = await exchange.ask(INDEX, pb.RepositoryIndexRequest(ready=wanted.ready))
    return json_response([json_of(model) for model in answer.models])


async def load(exchange: Exchange) -> Response:
    """Answers once the newest version serves."""
    given = await exchange.json(LoadBody)
    request = pb.RepositoryModelLoadRequest(model_name=exchange.path["model_name"])
    write_parameters(request.parameters, given.parameters)
    return json_response(json_of(await exchange.ask(LOAD, request)))


async def unload(exchange: Exchange) -> Response:
    """Answers at once; what the model accepted is finished."""
    given = await exchange.json(UnloadBody)
    request = pb.RepositoryModelUnloadRequest(model_name=exchange.path["model_name"])
    write_parameters(request.parameters, given.parameters)
    return json_response(json_of(await exchange.ask(UNLOAD, request)))


def repository_operations() -> list[Operation]:
    """The index, loading and unloading."""
    return [
        Operation(
            verb="POST",
            path="/v2/repository/index",
            name="repository_index",
            summary="Every version in the repository, with its state",
            procedure=INDEX,
            handler=index,
            answer=json_content(list_of(schema_of(pb.RepositoryIndexResponse.ModelIndex))),
            body=IndexBody,
        ),
        Operation(
            verb="POST",
            path="/v2/repository/models/{model_name}/load",
            name="load_model",
            summary="Loads a model, or loads it again (--model-control-mode explicit)",
            procedure=LOAD,
            handler=load,
            answer=json_content(record()),
            body=LoadBody,
        ),
        Operation(
            verb="POST",
            path="/v2/repository/models/{model_name}/unload",
            name="unload_model",
            summary="Unloads a model (--model-control-mode explicit)",
            procedure=UNLOAD,
            handler=unload,
            answer=json_content(record()),
            body=UnloadBody,
        ),
    ]
