"""Why a model gave its answer: covered copies of the picture go through its batcher, behind all callers' rows.

Where the network's head allows it, a class activation map says so too.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from pydantic import Field

from conveyor.v1 import classifier_pb2 as pb
from conveyor_server.batch import BACKGROUND_PRIORITY, Rows
from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.http.console.activation import Activation, ActivationMap
from conveyor_server.http.console.look import row_of
from conveyor_server.http.console.occlusion import OcclusionPlan, covered_copies, falls, plan_occlusion
from conveyor_server.http.rest.bodies import Query
from conveyor_server.http.rest.exchange import Exchange
from conveyor_server.model import Model
from conveyor_server.per_model import PerModel
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
    method: Literal["occlusion", "activation"] = "occlusion"


class Explainer:
    """Explains the answers of a server's models."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._activations = PerModel(Activation)

    async def explain(self, exchange: Exchange) -> dict[str, Any]:
        """By how much the answer falls where the picture is covered, or what each place of the last maps adds to it.

        `methods` says which of both there are for this model version.
        """
        query = exchange.query(ExplainQuery)
        image = pb.Image(encoded=await exchange.body())
        model = self._repository.find(query.model, query.version)
        path = self._repository.entry(model.name, model.version_text).file.path
        row = await row_of(model, image)
        _check_index(model, query.index)
        if query.method == "activation":
            return await self._activation(model, path, row, query.index)
        return {**await _occlusion(model, row, query.index), "methods": await self._methods(model, path)}

    async def _activation(self, model: Model, path: Path, row: Rows, index: int) -> dict[str, Any]:
        found: ActivationMap = await self._activations.of(model).map(path, row, index, PATIENCE)
        contributions = _rounded(found.weighed)
        return {
            "method": "activation",
            "value": found.value,
            "contributions": contributions,
            "methods": ["occlusion", "activation"],
        }

    async def _methods(self, model: Model, path: Path) -> list[str]:
        try:
            offered = await self._activations.of(model).is_offered(path, PATIENCE)
        except ServingError:
            # The map that was asked for is there; whether there is another, the next one says.
            offered = False
        return ["occlusion", "activation"] if offered else ["occlusion"]


def _check_index(model: Model, index: int) -> None:
    columns = math.prod(model.signature.outputs[0].shape)
    if index >= columns:
        message = f"model {model.name!r} gives {columns} values, so there is none with index {index}"
        raise ServingError(ErrorKind.INVALID_ARGUMENT, message)


async def _occlusion(model: Model, row: Rows, index: int) -> dict[str, Any]:
    plan = plan_occlusion(row)
    deadline = time.monotonic() + PATIENCE
    [value] = await _run(model, row[np.newaxis], index, deadline)
    most_rows = max(1, model.batcher.limits.max_queue_size // QUEUE_SHARE)
    covered = [await _run(model, copies, index, deadline) for copies in covered_copies(row, plan, most_rows)]
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
        "falls": _rounded(map_of_falls),
    }


def _rounded(places: Rows) -> list[list[float]]:
    return [[round(value, 6) for value in line] for line in places.tolist()]
