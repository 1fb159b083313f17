"""The things that learn: the network, its optimizer and the running average of its weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from conveyor_trainer.average import WeightAverage
from conveyor_trainer.recipe import Recipe
from conveyor_trainer.transfer import Backbone, Head


class Learner:
    """Everything with tensors that a checkpoint must hold. `module` is on its device already."""

    def __init__(self, module: nn.Module, recipe: Recipe, head: Head | None = None) -> None:
        self.module = module
        self.backbone = Backbone(module, head) if head is not None else None
        self.optimizer = make_optimizer(module, recipe)
        self._decay = recipe.ema_decay or 0.0
        self._average = WeightAverage(module) if recipe.ema_decay is not None else None

    @property
    def kept(self) -> nn.Module:
        """The network as it would be kept now: the average, where there is one."""
        return self.module if self._average is None else self._average.module

    def set_learning_rate(self, rate: float) -> None:
        """Of the next step."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def average_weights(self, steps: int) -> None:
        """After step number `steps`, counted from 1. Early on, old weights are forgotten sooner."""
        if self._average is None:
            return
        decay = min(self._decay, (1 + steps) / (10 + steps)) if steps > 1 else 0.0
        self._average.follow(self.module, decay)

    def tensors(self) -> dict[str, Tensor]:
        """The whole state, flat. Names: module.*, average.*, optimizer.<parameter>.<slot>."""
        flat = {f"module.{name}": tensor for name, tensor in self.module.state_dict().items()}
        if self._average is not None:
            flat |= {f"average.{name}": tensor for name, tensor in self._average.module.state_dict().items()}
        for parameter, slots in self.optimizer.state_dict()["state"].items():
            flat |= {f"optimizer.{parameter}.{slot}": tensor for slot, tensor in slots.items() if tensor is not None}
        return flat

    def load_tensors(self, flat: Mapping[str, Tensor]) -> None:
        """Takes back what `tensors` gave. Raises RuntimeError or KeyError when it is another network's."""
        self.module.load_state_dict(_under("module.", flat))
        if self._average is not None:
            self._average.module.load_state_dict(_under("average.", flat))
        parameters = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        state: dict[int, dict[str, Any]] = {}
        for name, tensor in _under("optimizer.", flat).items():
            index, slot = name.split(".", 1)
            state.setdefault(int(index), {})[slot] = _laid_out_like(parameters[int(index)], tensor)
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})


def make_optimizer(module: nn.Module, recipe: Recipe) -> Optimizer:
    """The recipe's optimizer. Biases and norms are not decayed: they are few, and decay only hurts them."""
    decayed = [parameter for parameter in module.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in module.parameters() if parameter.ndim <= 1]
    groups: list[dict[str, Any]] = [
        {"params": decayed, "weight_decay": recipe.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if recipe.optimizer == "sgd":
        nesterov = recipe.momentum > 0
        return SGD(groups, lr=recipe.learning_rate, momentum=recipe.momentum, nesterov=nesterov, fused=True)
    return (Adam if recipe.optimizer == "adam" else AdamW)(groups, lr=recipe.learning_rate, fused=True)


def _under(prefix: str, flat: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in flat.items() if name.startswith(prefix)}


def _laid_out_like(parameter: Tensor, tensor: Tensor) -> Tensor:
    """A file holds plain order; fused optimizers want a slot's numbers in the parameter's order in memory."""
    if tensor.shape != parameter.shape:
        return tensor
    return torch.empty_like(parameter, dtype=tensor.dtype).copy_(tensor)
