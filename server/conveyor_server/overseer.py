"""What the services need of whoever oversees the versions of models; see `oversight.py`."""

from __future__ import annotations

from typing import Protocol

from conveyor.v1 import classifier_pb2
from conveyor_server.calls import CallContext
from conveyor_server.model import Model


class Overseer(Protocol):
    """Of one process."""

    def canary_for(self, name: str, version: str, request_id: str, context: CallContext) -> Model | None:
        """The canary version where this request is one of its share; None where it is not."""

    def shares_out(self, name: str) -> bool:
        """Whether a share of the requests that name no version goes to a canary."""

    async def drift_of(self, model: Model) -> classifier_pb2.Drift | None:
        """What is served beside what the model was trained on; None where nothing is known."""
