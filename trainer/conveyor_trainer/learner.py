"""The things that learn: the network, its optimizer and the running average of its weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from conveyor_trainer.recipe import Recipe


class Learner:
    """Everything with tensors that a checkpoint must hold."""

    def __init__(self, module: nn.Module, recipe: Recipe) -> None:
        self.module = module
        self.optimizer = make_optimizer(module, recipe)
        self.average: AveragedModel | None = None
        if recipe.ema_decay is not None:
            average = get_ema_multi_avg_fn(recipe.ema_decay)  # type: ignore[no-untyped-call]  # torch leaves it bare
            self.average = AveragedModel(module, multi_avg_fn=average, use_buffers=True)

    @property
    def kept(self) -> nn.Module:
        """The network as it would be kept now: the average, where there is one."""
        return self.average.module if self.average is not None else self.module

    def tensors(self) -> dict[str, Tensor]:
        """The whole state, flat. Names: module.*, average.*, optimizer.<parameter>.<slot>, random."""
        flat = {f"module.{name}": tensor for name, tensor in self.module.state_dict().items()}
        if self.average is not None:
            flat |= {f"average.{name}": tensor for name, tensor in self.average.state_dict().items()}
        for parameter, slots in self.optimizer.state_dict()["state"].items():
            flat |= {f"optimizer.{parameter}.{slot}": tensor for slot, tensor in slots.items() if tensor is not None}
        flat["random"] = torch.get_rng_state()
        return flat

    def load_tensors(self, flat: Mapping[str, Tensor]) -> None:
        """Takes back what `tensors` gave. Raises RuntimeError or KeyError when it is another network's."""
        self.module.load_state_dict(_under("module.", flat))
        if self.average is not None:
            self.average.load_state_dict(_under("average.", flat))
        state: dict[int, dict[str, Any]] = {}
        for name, tensor in _under("optimizer.", flat).items():
            parameter, slot = name.split(".", 1)
            state.setdefault(int(parameter), {})[slot] = tensor
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})
        torch.set_rng_state(flat["random"])


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
        return SGD(groups, lr=recipe.learning_rate, momentum=recipe.momentum)
    return (Adam if recipe.optimizer == "adam" else AdamW)(groups, lr=recipe.learning_rate)


def _under(prefix: str, flat: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in flat.items() if name.startswith(prefix)}
