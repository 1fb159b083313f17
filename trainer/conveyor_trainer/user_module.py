"""A network from the user's own code, in an architecture's place: FILE_OR_MODULE:FACTORY and the input it takes."""

from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from conveyor_contract.errors import UserCodeError
from conveyor_contract.user_code import call_factory, load_named, source_of
from conveyor_trainer.input_format import InputFormat, input_format_of
from conveyor_trainer.report import Normalisation
from conveyor_trainer.task import Task

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class UserModule:
    """Takes float32 N x C x H x W or N x C x L, normalised; answers with logits, or with values in regression."""

    reference: str  # FILE_OR_MODULE:FACTORY
    input_shape: tuple[int, ...]  # (C, H, W) or (C, L)
    task: Task = "classification"
    outputs: int | None = None  # None until the data say it

    @property
    def name(self) -> str:
        """The factory's."""
        return self.reference.rpartition(":")[2]

    @property
    def input_format(self) -> InputFormat:
        """What is done to any image before this network sees it; or the signal that it takes."""
        return input_format_of(self.input_shape)

    def with_classes(self, outputs: int) -> UserModule:
        """The same network, which must answer with so many values."""
        return replace(self, outputs=outputs)

    def digest(self) -> str:
        """sha256 of the layers as PyTorch prints them, of the weights' names and shapes, and of the file of the
        code."""
        module = self.build()
        content = {
            "layers": repr(module),
            "weights": {name: list(tensor.shape) for name, tensor in module.state_dict().items()},
            "input": self.input_shape,
            "code": hashlib.sha256(source_of(self.reference)).hexdigest(),
        }
        return "sha256:" + hashlib.sha256(json.dumps(content).encode()).hexdigest()

    def build(self, normalisation: Normalisation | None = None) -> nn.Module:
        """A fresh network; for regression with a ValueScale at its end, with the normalisation's figures where given.

        Raises UsageError or UserCodeError; DataError when it answers with too many values.
        """
        module = self._made()
        if self.outputs is None:
            return module
        from conveyor_trainer.probe import Expectation, check_answers
        from conveyor_trainer.scaled_values import ScaledNetwork, ValueScale

        expected = Expectation(
            reference=self.reference, input_shape=self.input_shape, outputs=self.outputs, task=self.task
        )
        check_answers(module, expected)
        if self.task == "regression":
            return ScaledNetwork(module, ValueScale(self.outputs, normalisation))
        return module

    def _made(self) -> nn.Module:
        from torch import nn

        found = load_named(self.reference)
        # A module that is there already is shared by whoever asks: everyone gets a copy.
        module = copy.deepcopy(found) if isinstance(found, nn.Module) else call_factory(found, self.reference)
        if not isinstance(module, nn.Module):
            raise UserCodeError(f"{self.reference} gives a {type(module).__name__}; expected a torch.nn.Module.")
        if not any(parameter.requires_grad for parameter in module.parameters()):
            raise UserCodeError(
                f"{self.reference} gives a network without parameters that learn: there is nothing to train."
            )
        return module
