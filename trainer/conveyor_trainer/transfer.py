"""Transfer learning: a network starts from weights that were trained before; its head is made anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from conveyor_trainer.errors import RunError
from conveyor_trainer.run_files import WEIGHTS_FILE
from conveyor_trainer.weights import read_tensors, weights_digest

_SCALED = "network."  # what the names of somebody's own network begin with once its values are scaled


def weights_file(run_or_file: Path) -> Path:
    """The weights of a run, or the file itself. Raises RunError when there are none."""
    path = run_or_file / WEIGHTS_FILE if run_or_file.is_dir() else run_or_file
    if not path.is_file():
        raise RunError(f"there are no weights to begin with at {path}: give a finished run or a .safetensors file")
    return path


def initial_weights_digest(run_or_file: Path) -> str:
    """ "sha256:<hex>" of the weights to begin with. Raises RunError."""
    return weights_digest(read_tensors(weights_file(run_or_file))[0])


@dataclass(frozen=True, kw_only=True)
class Head:
    """The last layer with weights, which answers: the only one that depends on the classes."""

    name: str
    after: frozenset[str]  # the layers that run after it, which have figures but no weights


def find_head(module: nn.Module, input_shape: tuple[int, ...]) -> Head:
    """By the order in which layers run, not in which they were defined. Raises RunError where none has weights."""
    weighty = {name for name, layer in module.named_modules() if _any(layer.parameters(recurse=False))}
    order = _running_order(module, input_shape)
    places = [place for place, name in enumerate(order) if name in weighty]
    if not places:
        raise RunError("the network has no layer with weights of its own that runs: none can be made anew as the head")
    before, name, after = order[: places[-1]], order[places[-1]], order[places[-1] + 1 :]
    return Head(name=name, after=frozenset(after).difference(before))


def take_weights(module: nn.Module, run_or_file: Path, head: Head) -> None:
    """Puts trained weights into all but the head. Raises RunError naming what is missing or has another shape."""
    path = weights_file(run_or_file)
    tensors, _ = read_tensors(path)
    wanted = module.state_dict()
    anew = {head.name, *head.after}
    taken = {}
    for name, fresh in wanted.items():
        if name.rpartition(".")[0] in anew:
            continue
        found = _found(name, tensors)
        if found is None or found.shape != fresh.shape:
            words = "is absent there" if found is None else f"has the shape {tuple(found.shape)} there"
            raise RunError(
                f"the weights in {path} are of another architecture: {name} {words} and {tuple(fresh.shape)} here"
            )
        taken[name] = found
    module.load_state_dict(wanted | taken)


class Backbone:
    """All of a network but its head: it can be frozen for a while."""

    def __init__(self, module: nn.Module, head: Head) -> None:
        self._layers = [layer for name, layer in module.named_modules() if name != head.name]
        # Those that the user froze himself stay as they are.
        self._learning = [
            parameter
            for layer in self._layers
            for parameter in layer.parameters(recurse=False)
            if parameter.requires_grad
        ]

    def freeze(self, frozen: bool) -> None:
        """Lets only the head learn, or everything again. A frozen batch norm keeps its figures too."""
        for layer in self._layers:
            if not _any(layer.children()):
                layer.train(not frozen)
        for parameter in self._learning:
            parameter.requires_grad_(not frozen)


def _found(name: str, tensors: Mapping[str, Tensor]) -> Tensor | None:
    """The tensor of that name, or of the same place in a network whose values are scaled, or are not."""
    spellings = (name, _SCALED + name, name.removeprefix(_SCALED))
    return next((tensors[spelling] for spelling in spellings if spelling in tensors), None)


def _running_order(module: nn.Module, input_shape: tuple[int, ...]) -> list[str]:
    """The names of the layers with weights or figures of their own, as a blank row meets them."""
    order: list[str] = []
    hooks = [
        layer.register_forward_pre_hook(lambda _layer, _given, name=name: order.append(name))
        for name, layer in module.named_modules()
        if _any(layer.parameters(recurse=False)) or _any(layer.buffers(recurse=False))
    ]
    was_training = module.training
    try:
        with torch.no_grad():
            module.eval()(torch.zeros(1, *input_shape))
    finally:
        module.train(was_training)
        for hook in hooks:
            hook.remove()
    return order


def _any(entries: Iterator[object]) -> bool:
    return any(True for _ in entries)
