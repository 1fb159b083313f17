"""What one layer does to a shape: output shape, parameters, multiply-accumulates, each with its formula.

One function a layer type; `effect_of` finds it. Messages of LayerMisfit lack the layer's place: shapes.py adds it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

from conveyor_trainer.architecture import Shape
from conveyor_trainer.errors import LayerMisfit
from conveyor_trainer.layers import (
    Convolution,
    Dense,
    DepthwiseSeparableConv2D,
    GlobalAvgPool1D,
    GlobalAvgPool2D,
    LayerBase,
    Pool,
    Residual,
)
from conveyor_trainer.windows import Window, window


@dataclass(frozen=True, kw_only=True)
class Effect:
    """`windows` has one entry an axis for layers that slide; `formula` gives the output's shape with its numbers."""

    output_shape: Shape
    parameters: int = 0
    macs: int = 0
    windows: tuple[Window, ...] = ()
    formula: str = ""
    parameters_formula: str = ""


def effect_of(layer: LayerBase, shape: Shape, classes: int | None) -> Effect:
    """What `layer` makes of `shape`. Raises LayerMisfit when the layer cannot take it."""
    kind = str(getattr(layer, "type", ""))
    if kind == "dense":
        assert isinstance(layer, Dense)
        return _dense(layer, shape, classes)
    return _EFFECTS.get(kind, _unchanged)(layer, shape)


def projection_effect(layer: Residual, before: Shape, after: Shape) -> Effect | None:
    """The 1x1 convolution (without bias) and batch_norm of a residual block's shortcut; None for the input itself."""
    if before == after and layer.shortcut != "projection":
        return None
    if layer.shortcut == "identity":
        raise LayerMisfit(
            f"shortcut identity needs equal shapes, but the block turns C x H x W {before} into {after}: "
            "use shortcut auto or projection"
        )
    if len(before) != len(after) or len(before) < 2:
        raise LayerMisfit(f"the block turns {before} into {after}: no 1x1 convolution can do the same")
    windows = []
    for size, wanted in zip(before[1:], after[1:], strict=True):
        stride = -(-size // wanted)
        windows.append(window(size, 1, stride=stride, padding="valid"))
        if windows[-1].output != wanted:
            raise LayerMisfit(
                f"the block turns a size of {size} into {wanted}, which a 1x1 convolution with a stride cannot do: "
                "use padding same inside the block"
            )
    weights = before[0] * after[0]
    return Effect(
        output_shape=after,
        parameters=weights + 2 * after[0],
        macs=weights * prod(after[1:]),
        windows=tuple(windows),
    )


def _convolution(layer: Any, shape: Shape) -> Effect:
    assert isinstance(layer, Convolution)
    windows = _slide(layer, shape, layer.kernel_size, layer.strides, layer.dilation)
    groups: int = getattr(layer, "groups", 1)
    channels, places = shape[0], [w.output for w in windows]
    if channels % groups or layer.filters % groups:
        raise LayerMisfit(
            f"groups {groups} must divide both the {channels} channels that come in and the {layer.filters} filters"
        )
    weights = prod(layer.kernel_size) * (channels // groups) * layer.filters
    bias = layer.filters if layer.use_bias else 0
    kernel = " x ".join(map(str, layer.kernel_size))
    return Effect(
        output_shape=(layer.filters, *places),
        parameters=weights + bias,
        macs=weights * prod(places),
        windows=windows,
        formula=_window_formula(windows),
        parameters_formula=f"{kernel} x {channels // groups} x {layer.filters} + {bias} = {weights + bias}",
    )


def _separable(layer: Any, shape: Shape) -> Effect:
    assert isinstance(layer, DepthwiseSeparableConv2D)
    windows = _slide(layer, shape, layer.kernel_size, layer.strides, layer.dilation)
    places = [w.output for w in windows]
    middle = shape[0] * layer.depth_multiplier
    depthwise, pointwise = prod(layer.kernel_size) * middle, middle * layer.filters
    bias = layer.filters if layer.use_bias else 0
    kernel = " x ".join(map(str, layer.kernel_size))
    total = depthwise + pointwise + bias
    return Effect(
        output_shape=(layer.filters, *places),
        parameters=total,
        macs=(depthwise + pointwise) * prod(places),
        windows=windows,
        formula=_window_formula(windows),
        parameters_formula=f"{kernel} x {middle} + {middle} x {layer.filters} + {bias} = {total}",
    )


def _pool(layer: Any, shape: Shape) -> Effect:
    assert isinstance(layer, Pool)
    strides = layer.strides or layer.pool_size
    windows = _slide(layer, shape, layer.pool_size, strides, (1,) * layer.axes)
    places = [w.output for w in windows]
    return Effect(output_shape=(shape[0], *places), windows=windows, formula=_window_formula(windows))


def _global_pool(layer: Any, shape: Shape) -> Effect:
    assert isinstance(layer, GlobalAvgPool1D | GlobalAvgPool2D)
    _need_axes(layer.axes, shape)
    windows = tuple(Window(size=size, kernel=size) for size in shape[1:])
    return Effect(
        output_shape=(shape[0],) + (1,) * layer.axes,
        windows=windows,
        formula=f"mean over {' x '.join(map(str, shape[1:]))} = 1 a channel",
    )


def _flatten(layer: Any, shape: Shape) -> Effect:
    length = prod(shape)
    windows = tuple(Window(size=size, kernel=size) for size in shape[1:])
    return Effect(output_shape=(length,), windows=windows, formula=f"{' x '.join(map(str, shape))} = {length}")


def _dense(layer: Dense, shape: Shape, classes: int | None) -> Effect:
    if len(shape) != 1:
        raise LayerMisfit(f"dense takes a flat vector, but C x H x W {shape} comes in: put flatten before it")
    units = classes if layer.units == "classes" else layer.units
    if units is None:
        raise LayerMisfit(
            "`units: classes` needs to know how many: training takes it from the data; else add `classes: N` to the "
            "file or give --classes N"
        )
    weights, bias = shape[0] * units, units if layer.use_bias else 0
    return Effect(
        output_shape=(units,),
        parameters=weights + bias,
        macs=weights,
        formula=f"{units} units",
        parameters_formula=f"{shape[0]} x {units} + {bias} = {weights + bias}",
    )


def _batch_norm(layer: Any, shape: Shape) -> Effect:
    return Effect(
        output_shape=shape,
        parameters=2 * shape[0],
        formula="unchanged",
        parameters_formula=f"2 x {shape[0]} = {2 * shape[0]}",
    )


def _unchanged(layer: Any, shape: Shape) -> Effect:
    return Effect(output_shape=shape, formula="unchanged")


_EFFECTS: dict[str, Callable[[Any, Shape], Effect]] = {
    "conv2d": _convolution,
    "conv1d": _convolution,
    "depthwise_separable_conv2d": _separable,
    "max_pool2d": _pool,
    "avg_pool2d": _pool,
    "max_pool1d": _pool,
    "avg_pool1d": _pool,
    "global_avg_pool2d": _global_pool,
    "global_avg_pool1d": _global_pool,
    "flatten": _flatten,
    "batch_norm": _batch_norm,
}


def _slide(
    layer: Convolution | Pool, shape: Shape, kernel: Shape, strides: Shape, dilation: Shape
) -> tuple[Window, ...]:
    _need_axes(layer.axes, shape)
    if isinstance(layer.padding, str):
        paddings: tuple[Any, ...] = (layer.padding,) * layer.axes
    else:
        paddings = layer.padding
    axes = zip(shape[1:], kernel, strides, dilation, paddings, strict=True)
    return tuple(window(n, k, stride=s, dilation=d, padding=p) for n, k, s, d, p in axes)


def _need_axes(axes: int, shape: Shape) -> None:
    if len(shape) != axes + 1:
        wanted = "an image (C x H x W)" if axes == 2 else "a signal (C x L)"
        raise LayerMisfit(f"this layer takes {wanted}, but {shape} comes in")


def _window_formula(windows: tuple[Window, ...]) -> str:
    formulas = [w.formula for w in windows]
    return formulas[0] if len(set(formulas)) == 1 else "; ".join(formulas)
