"""Builds the PyTorch module of an architecture, layer by layer, from the steps of the shape arithmetic.

The module takes float32 N x C x H x W (or N x C x L), normalised, and returns logits: a softmax at the end of the
architecture is left to the loss while training and added again when exporting.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from itertools import chain
from typing import Any, cast

import torch
from torch import Tensor, nn

from conveyor_trainer.architecture import Architecture
from conveyor_trainer.layers import (
    Activation,
    BatchNorm,
    Convolution,
    Dense,
    DepthwiseSeparableConv2D,
    Dropout,
    Pool,
    Residual,
    activation_of,
)
from conveyor_trainer.module_names import VALUE_SCALE
from conveyor_trainer.report import Normalisation
from conveyor_trainer.scaled_values import ValueScale
from conveyor_trainer.shapes import Step, plan
from conveyor_trainer.windows import Window

Named = list[tuple[str, nn.Module]]

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}
_CONVOLUTION = (nn.Conv1d, nn.Conv2d)
_MAX_POOL = (nn.MaxPool1d, nn.MaxPool2d)
_AVG_POOL = (nn.AvgPool1d, nn.AvgPool2d)
_GLOBAL_POOL = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d)
_BATCH_NORM = (nn.BatchNorm1d, nn.BatchNorm2d)
_ZERO_PAD = (nn.ZeroPad1d, nn.ZeroPad2d)
_EDGE_PAD = (nn.ReplicationPad1d, nn.ReplicationPad2d)


def build_module(architecture: Architecture, normalisation: Normalisation | None = None) -> nn.Module:
    """A fresh network, initialised from PyTorch's global generator. Raises ArchitectureError as `plan` does.

    For regression it ends in a ValueScale, with the normalisation's figures where given.
    """
    steps = plan(architecture)
    network = _sequence(steps)
    if architecture.task == "regression":
        network.add_module(VALUE_SCALE, ValueScale(steps[-1].output_shape[0], normalisation))
    return network


class ResidualBlock(nn.Module):
    """activation(body(x) + shortcut(x))."""

    def __init__(self, body: nn.Module, shortcut: nn.Module, activation: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.shortcut = shortcut
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, ...) to (N, C', ...)."""
        return cast(Tensor, self.activation(self.body(x) + self.shortcut(x)))


class SameAveragePool(nn.Module):
    """Average pooling with more padding at the end than at the start, which is left out of the mean."""

    coverage: Tensor  # share of each window that lies on the image

    def __init__(self, pad: nn.Module, pool: nn.Module, size: tuple[int, ...]) -> None:
        super().__init__()
        self.pad = pad
        self.pool = pool
        coverage = pool(pad(torch.ones(1, 1, *size)))
        self.register_buffer("coverage", coverage, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, ...) to (N, C, ...)."""
        return cast(Tensor, self.pool(self.pad(x)) / self.coverage)


def _sequence(steps: tuple[Step, ...]) -> nn.Sequential:
    return nn.Sequential(OrderedDict(chain.from_iterable(_modules(step) for step in steps)))


def _modules(step: Step) -> Named:
    """The layer's modules in order; padding and activation, where they need one, under names of their own."""
    modules = _BUILDERS[step.type](step)
    activation = activation_of(step.layer)
    own = isinstance(step.layer, Activation | Residual)
    if not own and activation in ACTIVATIONS:
        modules.append((f"{step.name}_{activation}", ACTIVATIONS[activation]()))
    return modules


def _convolution(step: Step) -> Named:
    layer = cast(Convolution, step.layer)
    padding, windows = _zero_padding(step)
    convolution = _CONVOLUTION[layer.axes - 1](
        step.input_shape[0],
        layer.filters,
        layer.kernel_size,  # type: ignore[arg-type]  # as long as the class has axes
        stride=layer.strides,  # type: ignore[arg-type]
        padding=windows,  # type: ignore[arg-type]
        dilation=layer.dilation,  # type: ignore[arg-type]
        groups=getattr(layer, "groups", 1),
        bias=layer.use_bias,
    )
    return [*padding, (step.name, convolution)]


def _separable(step: Step) -> Named:
    layer = cast(DepthwiseSeparableConv2D, step.layer)
    padding, windows = _zero_padding(step)
    channels = step.input_shape[0]
    middle = channels * layer.depth_multiplier
    depthwise: nn.Module = nn.Conv2d(
        channels,
        middle,
        layer.kernel_size,  # type: ignore[arg-type]  # two axes
        stride=layer.strides,  # type: ignore[arg-type]
        padding=windows,  # type: ignore[arg-type]
        dilation=layer.dilation,  # type: ignore[arg-type]
        groups=channels,
        bias=False,
    )
    pointwise = nn.Conv2d(middle, layer.filters, 1, bias=layer.use_bias)
    return [*padding, (f"{step.name}_depthwise", depthwise), (f"{step.name}_pointwise", pointwise)]


def _max_pool(step: Step) -> Named:
    layer = cast(Pool, step.layer)
    windows = step.effect.windows
    pool = _MAX_POOL[layer.axes - 1]
    strides: Any = layer.strides or layer.pool_size
    size: Any = layer.pool_size
    if all(w.symmetric for w in windows):
        return [(step.name, pool(size, strides, padding=_befores(windows)))]
    # Repeating the edge never changes a maximum: every window that reaches the padding holds the edge too.
    pad = _EDGE_PAD[layer.axes - 1](_ends(windows))
    return [(f"{step.name}_pad", pad), (step.name, pool(size, strides))]


def _avg_pool(step: Step) -> Named:
    layer = cast(Pool, step.layer)
    windows = step.effect.windows
    pool = _AVG_POOL[layer.axes - 1]
    strides: Any = layer.strides or layer.pool_size
    size: Any = layer.pool_size
    if all(w.symmetric for w in windows):
        counted = layer.padding != "same"
        return [(step.name, pool(size, strides, padding=_befores(windows), count_include_pad=counted))]
    pad = _ZERO_PAD[layer.axes - 1](_ends(windows))
    return [(step.name, SameAveragePool(pad, pool(size, strides), step.input_shape[1:]))]


def _global_pool(step: Step) -> Named:
    return [(step.name, _GLOBAL_POOL[len(step.input_shape) - 2](1))]


def _batch_norm(step: Step) -> Named:
    layer = cast(BatchNorm, step.layer)
    norm = _BATCH_NORM[1 if len(step.input_shape) == 3 else 0]
    return [(step.name, norm(step.input_shape[0], eps=layer.epsilon, momentum=layer.momentum))]


def _dropout(step: Step) -> Named:
    return [(step.name, nn.Dropout(cast(Dropout, step.layer).rate))]


def _flatten(step: Step) -> Named:
    return [(step.name, nn.Flatten())]


def _dense(step: Step) -> Named:
    bias = cast(Dense, step.layer).use_bias
    return [(step.name, nn.Linear(step.input_shape[0], step.output_shape[0], bias=bias))]


def _activation(step: Step) -> Named:
    return [(step.name, ACTIVATIONS[step.type]())] if step.type in ACTIVATIONS else []  # softmax: left to the loss


def _residual(step: Step) -> Named:
    layer = cast(Residual, step.layer)
    shortcut: nn.Module = nn.Identity()
    if step.projection:
        axes = len(step.input_shape) - 1
        strides: Any = tuple(w.stride for w in step.projection.windows)
        channels = step.output_shape[0]
        project = _CONVOLUTION[axes - 1](step.input_shape[0], channels, 1, stride=strides, bias=False)
        shortcut = nn.Sequential(OrderedDict(conv=project, batch_norm=_BATCH_NORM[axes - 1](channels)))
    activation = ACTIVATIONS.get(layer.activation, nn.Identity)()
    return [(step.name, ResidualBlock(_sequence(step.children), shortcut, activation))]


_BUILDERS: dict[str, Callable[[Step], Named]] = {
    "conv2d": _convolution,
    "conv1d": _convolution,
    "depthwise_separable_conv2d": _separable,
    "max_pool2d": _max_pool,
    "max_pool1d": _max_pool,
    "avg_pool2d": _avg_pool,
    "avg_pool1d": _avg_pool,
    "global_avg_pool2d": _global_pool,
    "global_avg_pool1d": _global_pool,
    "batch_norm": _batch_norm,
    "dropout": _dropout,
    "flatten": _flatten,
    "dense": _dense,
    "residual": _residual,
    **dict.fromkeys((*ACTIVATIONS, "softmax"), _activation),
}


def _zero_padding(step: Step) -> tuple[Named, tuple[int, ...]]:
    """Padding as a module of its own where the two ends differ, else as the convolution's own setting."""
    windows = step.effect.windows
    if all(w.symmetric for w in windows):
        return [], _befores(windows)
    return [(f"{step.name}_pad", _ZERO_PAD[len(windows) - 1](_ends(windows)))], (0,) * len(windows)


def _befores(windows: tuple[Window, ...]) -> Any:
    return tuple(w.before for w in windows)


def _ends(windows: tuple[Window, ...]) -> Any:
    """(left, right, top, bottom), last axis first, as PyTorch's padding modules want it."""
    return tuple(chain.from_iterable((w.before, w.after) for w in reversed(windows)))
