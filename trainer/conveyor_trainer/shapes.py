"""The arithmetic of an architecture, without PyTorch: what goes into and comes out of every layer, and what it costs.

`plan` walks the layers once and gives a Step for each; summary.py prints the steps, module.py builds them.
Shapes are (C, H, W), (C, L) or (N,). Multiply-accumulates are for one image.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import prod

from conveyor_trainer.architecture import Architecture, Shape
from conveyor_trainer.effects import Effect, effect_of, projection_effect
from conveyor_trainer.errors import ArchitectureError, LayerMisfit
from conveyor_trainer.layers import Layer, LayerBase, Residual
from conveyor_trainer.module_names import RESERVED_NAMES, module_names
from conveyor_trainer.windows import Window


@dataclass(frozen=True, kw_only=True)
class ReceptiveField:
    """The receptive field: the patch of input values, `size` an axis, that one value depends on."""

    size: tuple[int, ...]
    jump: tuple[int, ...]  # input values between neighbouring outputs

    def after(self, windows: tuple[Window, ...]) -> ReceptiveField:
        """The field once these windows have slid over the present values."""
        if len(windows) != len(self.size):
            return self
        size = tuple(r + (w.span - 1) * j for r, w, j in zip(self.size, windows, self.jump, strict=True))
        return ReceptiveField(size=size, jump=tuple(w.stride * j for w, j in zip(windows, self.jump, strict=True)))


@dataclass(frozen=True, kw_only=True)
class Step:
    """One layer in its place: its name, its shapes, its cost, and the layers inside it."""

    name: str
    layer: LayerBase
    input_shape: Shape
    output_shape: Shape
    parameters: int
    macs: int
    receptive_field: tuple[int, ...]
    effect: Effect
    warnings: tuple[str, ...] = ()
    children: tuple[Step, ...] = ()
    projection: Effect | None = None  # of a residual block's shortcut, where it is not the input itself

    @property
    def type(self) -> str:
        """The layer's type, such as conv2d."""
        return str(getattr(self.layer, "type", "layer"))

    @property
    def dense_equivalent(self) -> int | None:
        """Parameters of a dense layer from and to the same shapes; None unless this is a convolution."""
        if "conv" not in self.type:
            return None
        return prod(self.input_shape) * prod(self.output_shape) + prod(self.output_shape)


@dataclass(kw_only=True)
class _Walk:
    """Where the walk has come to."""

    shape: Shape
    reach: ReceptiveField
    classes: int | None
    counts: Counter[str] = field(default_factory=Counter)
    names: dict[str, str] = field(default_factory=dict)  # of layers and of their modules: whose they are


def plan(architecture: Architecture) -> tuple[Step, ...]:
    """Every layer's step. Raises ArchitectureError naming the layer and line where shapes do not fit or vanish."""
    shape = architecture.input_shape
    start = ReceptiveField(size=(1,) * (len(shape) - 1), jump=(1,) * (len(shape) - 1))
    walk = _Walk(shape=shape, reach=start, classes=architecture.classes)
    steps = tuple(_step(layer, walk, architecture.name) for layer in architecture.layers)
    if len(walk.shape) != 1:
        raise ArchitectureError(
            f"{architecture.name}: the last layer, {steps[-1].name}, gives {spell(walk.shape)}, not a flat vector: "
            "end with flatten and dense"
        )
    return steps


def outputs(architecture: Architecture) -> int:
    """How many values the network answers with: its classes, for a classifier."""
    return plan(architecture)[-1].output_shape[0]


def norm_of_single_values(steps: tuple[Step, ...]) -> str | None:
    """The first layer that normalises one value a row and channel: for that it must see more than one row at a time."""
    for step in steps:
        found = norm_of_single_values(step.children)
        if found is None and prod(step.output_shape[1:]) == 1 and (step.type == "batch_norm" or step.projection):
            found = step.name
        if found is not None:
            return found
    return None


def spell(shape: Shape) -> str:
    """A shape as prose says it: H x W x C, C x L, or N."""
    return " x ".join(str(size) for size in ((*shape[1:], shape[0]) if len(shape) == 3 else shape))


def _step(layer: Layer, walk: _Walk, source: str) -> Step:
    name = _name(layer, walk)
    try:
        step = (
            _residual_step(layer, name, walk, source) if isinstance(layer, Residual) else _plain_step(layer, name, walk)
        )
        _claim_names(step, walk)
    except LayerMisfit as error:
        line = f" line {layer.line}" if layer.line else ""
        raise ArchitectureError(f"{source}{line}: {name}: {error}") from error
    return step


def _plain_step(layer: Layer, name: str, walk: _Walk) -> Step:
    before, reach_before = walk.shape, walk.reach
    effect = effect_of(layer, before, walk.classes)
    walk.shape = effect.output_shape
    walk.reach = reach_before.after(effect.windows)
    return Step(
        name=name,
        layer=layer,
        input_shape=before,
        output_shape=effect.output_shape,
        parameters=effect.parameters,
        macs=effect.macs,
        receptive_field=walk.reach.size,
        effect=effect,
        warnings=_dropped(name, effect.windows),
    )


def _residual_step(layer: Residual, name: str, walk: _Walk, source: str) -> Step:
    before = walk.shape
    inner = _Walk(shape=before, reach=walk.reach, classes=walk.classes)
    children = tuple(_step(child, inner, source) for child in layer.layers)
    projection = projection_effect(layer, before, inner.shape)
    walk.shape, walk.reach = inner.shape, inner.reach
    formula = f"{spell(before)} -> {spell(inner.shape)}, shortcut {'projected' if projection else 'as it is'}"
    return Step(
        name=name,
        layer=layer,
        input_shape=before,
        output_shape=inner.shape,
        parameters=sum(child.parameters for child in children) + (projection.parameters if projection else 0),
        macs=sum(child.macs for child in children) + (projection.macs if projection else 0),
        receptive_field=walk.reach.size,
        effect=Effect(output_shape=inner.shape, formula=formula),
        warnings=tuple(f"{name}.{warning}" for child in children for warning in child.warnings),
        children=children,
        projection=projection,
    )


def _name(layer: Layer, walk: _Walk) -> str:
    """The layer's own name, or its type and its number among its like: conv2d_1, conv2d_2."""
    walk.counts[layer.type] += 1
    return layer.name or f"{layer.type}_{walk.counts[layer.type]}"


def _claim_names(step: Step, walk: _Walk) -> None:
    """Raises LayerMisfit where a name of the layer, or of a module that it becomes, is another's."""
    for name in dict.fromkeys((step.name, *module_names(step.layer, step.name, step.effect))):
        if name in RESERVED_NAMES:
            raise LayerMisfit(f"PyTorch keeps the name {name!r} for itself: choose another")
        if name in walk.names:
            raise LayerMisfit(
                f"two layers are named {name!r}"
                if name == step.name == walk.names[name]
                else f"it needs the name {name!r}, which the layer {walk.names[name]} has or needs: rename one of them"
            )
        walk.names[name] = step.name


def _dropped(name: str, windows: tuple[Window, ...]) -> tuple[str, ...]:
    kinds = ("row", "column") if len(windows) == 2 else ("value",)
    return tuple(
        f"{name} drops the last {w.dropped} {kind}{'s' if w.dropped > 1 else ''} of {w.size}: no window reaches it"
        for kind, w in zip(kinds, windows, strict=False)
        if w.dropped
    )
