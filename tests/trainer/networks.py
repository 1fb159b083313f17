"""Architectures for the trainer's tests: a tiny one that trains in a second, and random ones."""

from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from conveyor_trainer.architecture import Architecture
from conveyor_trainer.run import Run
from conveyor_trainer.settings import TrainSettings

TINY = """
name: tiny
input: 12x12x1
classes: 10
layers:
  - conv2d: {filters: 8, kernel_size: 3, activation: relu}
  - max_pool2d
  - batch_norm
  - flatten
  - dropout: {rate: 0.1}
  - dense: {units: classes, activation: softmax}
"""


def tiny_settings(folder: Path, **changes: Any) -> TrainSettings:
    """Trains the tiny network on the embedded digits, one epoch, into folder/run."""
    architecture = folder / "tiny.yaml"
    architecture.write_text(TINY)
    settings: dict[str, Any] = {
        "architecture": str(architecture),
        "data": "digits",
        "run": folder / "run",
        "recipe": "article",
        "epochs": 1,
        "batch_size": 16,
        "pictures": False,
        "events": False,
    }
    return TrainSettings(**(settings | changes))


def accuracy_of(run: Run) -> float:
    """On the test split, 0 to 1."""
    assert run.report.accuracy is not None
    return run.report.accuracy


def _windows(draw: st.DrawFn) -> dict[str, Any]:
    padding = draw(st.sampled_from(["valid", "same", 0, 1, 2]))
    return {"kernel_size": draw(st.integers(1, 4)), "strides": draw(st.integers(1, 3)), "padding": padding}


@st.composite
def _layer(draw: st.DrawFn, axes: int, depth: int = 0) -> dict[str, Any]:
    windowed = [f"conv{axes}d", f"max_pool{axes}d", f"avg_pool{axes}d"]
    kinds = [*windowed, "batch_norm", "dropout", "gelu", *(["depthwise_separable_conv2d"] if axes == 2 else [])]
    kind = draw(st.sampled_from([*kinds, "residual"] if depth == 0 else kinds))
    activation = {"activation": draw(st.sampled_from(["linear", "relu", "silu"]))}
    if kind == f"conv{axes}d":
        groups = draw(st.sampled_from([1, 2]))
        extra = {"dilation": draw(st.integers(1, 2)), "groups": groups, "use_bias": draw(st.booleans())}
        return {"type": kind, "filters": draw(st.integers(1, 3)) * 2, **extra, **activation, **_windows(draw)}
    if kind == "depthwise_separable_conv2d":
        return {"type": kind, "filters": 2, "depth_multiplier": draw(st.integers(1, 2)), **activation, **_windows(draw)}
    if "pool" in kind:
        size = draw(st.integers(1, 4))
        padding = draw(st.sampled_from(["valid", "same", size // 2]))
        return {"type": kind, "pool_size": size, "strides": draw(st.sampled_from([None, 1, 2, 3])), "padding": padding}
    if kind == "residual":
        return {"type": kind, "layers": draw(st.lists(_layer(axes, depth=1), min_size=1, max_size=2)), **activation}
    return {"type": kind, "rate": 0.3} if kind == "dropout" else {"type": kind}


@st.composite
def architectures(draw: st.DrawFn) -> Architecture:
    """A random network for images or signals, of up to five layers and a head of classes or values. Its shapes may
    vanish."""
    axes = draw(st.sampled_from([1, 2]))
    if axes == 2:
        size = f"{draw(st.integers(4, 20))}x{draw(st.integers(4, 20))}x{draw(st.sampled_from([1, 3]))}"
    else:
        size = f"{draw(st.integers(1, 4))}x{draw(st.integers(4, 40))}"
    layers = draw(st.lists(_layer(axes), min_size=1, max_size=5))
    pooling = [{"type": f"global_avg_pool{axes}d"}] if draw(st.booleans()) else []
    head = {"type": "dense", "units": 3, "activation": draw(st.sampled_from(["softmax", "linear"]))}
    content = {"name": "random", "input": size, "layers": [*layers, *pooling, {"type": "flatten"}, head]}
    return Architecture.model_validate(content)
