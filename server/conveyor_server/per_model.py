"""Something worked out once for each model and kept for as long as the model is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary, proxy

from conveyor_server.model import Model

Made = TypeVar("Made")


class PerModel(Generic[Made]):
    """`make(model)`, made when it is first asked for."""

    def __init__(self, make: Callable[[Model], Made]) -> None:
        self._make = make
        self._made: WeakKeyDictionary[Model, Made] = WeakKeyDictionary()

    def of(self, model: Model) -> Made:
        """The model's own."""
        made = self._made.get(model)
        if made is None:
            # By a proxy: what is made keeps its model, and would keep it alive for good, session and threads and all.
            made = self._made[model] = self._make(proxy(model))
        return made
