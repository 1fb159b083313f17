"""A picture's answer, and the very pixels that the model was given for it."""

from __future__ import annotations

import base64
from typing import Any

from pydantic import Field

from conveyor.v1 import classifier_pb2 as pb
from conveyor_contract.preprocessing import encode_png
from conveyor_server.batch import Rows
from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.http.rest.bodies import Query
from conveyor_server.http.rest.exchange import Exchange, Procedure
from conveyor_server.http.rest.messages import json_of
from conveyor_server.model import Model
from conveyor_server.repository import Repository
from conveyor_server.service import SERVICE

CLASSIFY = Procedure(path=f"/{SERVICE}/Classify", answer=pb.ClassifyResponse)


class LookQuery(Query):
    """Which model looks at the picture in the body."""

    model: str = Field(min_length=1)
    version: str = ""
    top_k: int = Field(5, ge=1, le=1000)


async def look(exchange: Exchange, repository: Repository) -> dict[str, Any]:
    """Classify's answer as JSON, with `row`: what the model was given, as a PNG in base64, and its size in pixels."""
    exchange.knock(CLASSIFY)
    query = exchange.query(LookQuery)
    image = pb.Image(encoded=await exchange.body())
    request = pb.ClassifyRequest(model_name=query.model, model_version=query.version, images=[image], top_k=query.top_k)
    response = await exchange.ask(CLASSIFY, request)
    # The very version that answered, whichever was asked for.
    row = await row_of(repository.find(response.model_name, response.model_version), image)
    height, width = row.shape[:2]
    picture = {"png": base64.b64encode(encode_png(row)).decode(), "height": height, "width": width}
    return {**json_of(response), "row": picture}


async def row_of(model: Model, image: pb.Image) -> Rows:
    """What preprocessing makes of the image: pixels (height, width, 1 or 3). Raises ServingError."""
    if model.reader is None or model.contract is None or not model.contract.HasField("preprocessing"):
        raise ServingError(ErrorKind.INVALID_ARGUMENT, f"model {model.name!r} takes no images, but tensors")
    [row] = await model.reader.read_in_pool([image])
    if isinstance(row, ServingError):
        raise row
    return row
