"""A network from the user's own code, in an architecture's place: FILE_OR_MODULE:FACTORY and the input it takes."""

from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from conveyor_contract.errors import UserCodeError
from conveyor_contract.user_code import call_factory, error_words, load_named
from conveyor_trainer.errors import DataError
from conveyor_trainer.input_format import InputFormat, input_format_of
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
        """sha256 of the layers as PyTorch prints them and of the weights' names and shapes."""
        module = self.build()
        shapes = {name: list(tensor.shape) for name, tensor in module.state_dict().items()}
        content = json.dumps({"layers": repr(module), "weights": shapes, "input": self.input_shape})
        return "sha256:" + hashlib.sha256(content.encode()).hexdigest()

    def build(self) -> nn.Module:
        """A fresh network. Raises UsageError or UserCodeError; DataError when it answers with too many values."""
        from torch import nn

        found = load_named(self.reference)
        # A module that is there already is shared by whoever asks: everyone gets a copy.
        module = copy.deepcopy(found) if isinstance(found, nn.Module) else call_factory(found, self.reference)
        if not isinstance(module, nn.Module):
            raise UserCodeError(f"{self.reference} gives a {type(module).__name__}; expected a torch.nn.Module.")
        if not any(True for _ in module.parameters()):
            raise UserCodeError(f"{self.reference} gives a network without parameters: there is nothing to train.")
        if self.outputs is not None:
            self._check_answers(module, self.outputs)
        return module

    def _check_answers(self, module: nn.Module, outputs: int) -> None:
        import torch

        was_training = module.training
        module.eval()
        try:
            with torch.no_grad():
                answers = module(torch.zeros(2, *self.input_shape))
        except Exception as error:  # the network is the user's: anything may come out of it
            size = "x".join(map(str, self.input_shape))
            raise UserCodeError(f"{self.reference} fails on an input of {size} ({error_words(error)}).") from error
        finally:
            module.train(was_training)
        shape = tuple(getattr(answers, "shape", ()))
        if shape != (2, outputs):
            raise DataError(
                f"{self.reference} answers two inputs with the shape {shape}, but the data need (2, {outputs}): one "
                f"{'logit a class' if self.task == 'classification' else 'number a value'}"
            )
