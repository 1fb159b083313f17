"""Why a model gave its answer: covered copies of the picture go through its batcher, behind all callers' rows."""

from __future__ import annotations

import math
import time
from typing import Any, Final

import numpy as np
from pydantic import Field

from conveyor.v1 import classifier_pb2 as pb
from conveyor_server.batch import BACKGROUND_PRIORITY, Rows
from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.http.console.look import row_of
from conveyor_server.http.console.occlusion import OcclusionPlan, covered_copies, falls, plan_occlusion
from conveyor_server.http.rest.bodies import Query
from conveyor_server.http.rest.exchange import Exchange
from conveyor_server.model import Model
from conveyor_server.repository import Repository

# Of the rows that may wait for the model, the part that an explanation takes at most.
QUEUE_SHARE: Final = 4
# Seconds for all of it: callers go first, and they may keep the model busy.
PATIENCE: Final = 15.0


class ExplainQuery(Query):
    """Which of the model's answers is to be explained."""

    model: str = Field(min_length=1)
    version: str = ""
    index: int = Field(ge=0, le=1_000_000, description="The output's column.")


async def explain(exchange: Exchange, repository: Repository) -> dict[str, Any]:
    """An occlusion map: by how much the answer falls when a part of the picture is covered."""
    query = exchange.query(ExplainQuery)
    image = pb.Image(encoded=await exchange.body())
    model = repository.find(query.model, query.version)
    row = await row_of(model, image)
    columns = math.prod(model.signature.outputs[0].shape)
    if query.index >= columns:
        message = f"model {model.name!r} gives {columns} values, so there is none with index {query.index}"
        raise ServingError(ErrorKind.INVALID_ARGUMENT, message)
    plan = plan_occlusion(row)
    deadline = time.monotonic() + PATIENCE
    [value] = await _run(model, row[np.newaxis], query.index, deadline)
    most_rows = max(1, model.batcher.limits.max_queue_size // QUEUE_SHARE)
    covered = [await _run(model, copies, query.index, deadline) for copies in covered_copies(row, plan, most_rows)]
    return _as_json(plan, float(value), falls(float(value), np.concatenate(covered), plan))


async def _run(model: Model, rows: Rows, index: int, deadline: float) -> Rows:
    """One column (n,) of the outputs for rows of the model's input: no caller's request, so in no statistics."""
    model.batcher.admit(len(rows))
    outcome = await model.batcher.run(rows, deadline, BACKGROUND_PRIORITY)
    column: Rows = outcome.output.reshape(len(rows), -1)[:, index]
    return column


def _as_json(plan: OcclusionPlan, value: float, map_of_falls: Rows) -> dict[str, Any]:
    return {
        "method": "occlusion",
        "value": value,
        "copies": plan.copies,
        "patch": {"height": plan.patch_height, "width": plan.patch_width},
        "falls": [[round(fall, 6) for fall in line] for line in map_of_falls.tolist()],
    }
