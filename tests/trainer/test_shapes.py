"""The arithmetic of shapes: against the textbook's figures, and against what PyTorch really does."""

from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings

from conveyor_trainer.architecture import Architecture
from conveyor_trainer.architecture_file import find_architecture, parse_architecture
from conveyor_trainer.errors import ArchitectureError
from conveyor_trainer.module import build_module
from conveyor_trainer.module_names import RESERVED_NAMES, VALUE_SCALE, module_names
from conveyor_trainer.shapes import Step, plan
from tests.counts import count
from tests.trainer.networks import architectures


def _steps(layers: list[dict[str, Any]], size: str = "28x28x1") -> tuple[Step, ...]:
    tail: list[dict[str, Any]] = [{"type": "flatten"}, {"type": "dense", "units": 2, "activation": "softmax"}]
    return plan(Architecture.model_validate({"name": "test", "input": size, "layers": [*layers, *tail]}))


def test_the_classic_network() -> None:
    steps = plan(find_architecture("mnist_cnn"))
    shapes = [(32, 26, 26), (32, 13, 13), (64, 11, 11), (64, 5, 5), (1600,), (64,), (10,)]
    assert [step.output_shape for step in steps] == shapes
    assert steps[0].parameters == 320
    assert sum(step.parameters for step in steps) == 121_930


@pytest.mark.parametrize(
    ("layer", "size", "shape"),
    [
        ({"type": "conv2d", "filters": 32, "kernel_size": 3}, "28x28x1", (32, 26, 26)),
        ({"type": "conv2d", "filters": 32, "kernel_size": 3, "strides": 2, "padding": "same"}, "28x28x1", (32, 14, 14)),
        ({"type": "conv2d", "filters": 16, "kernel_size": 3, "padding": 1}, "32x32x3", (16, 32, 32)),
        ({"type": "conv2d", "filters": 4, "kernel_size": [1, 5], "dilation": 2}, "9x20x1", (4, 9, 12)),
        ({"type": "avg_pool2d", "pool_size": 3, "padding": "same"}, "28x28x1", (1, 10, 10)),
    ],
)
def test_single_layers(layer: dict[str, Any], size: str, shape: tuple[int, ...]) -> None:
    assert _steps([layer], size)[0].output_shape == shape


@pytest.mark.parametrize("pool", [{"type": "global_avg_pool2d"}, {"type": "avg_pool2d", "pool_size": 7, "strides": 1}])
def test_a_thousand_channels_pool_to_one_value_each(pool: dict[str, Any]) -> None:
    steps = _steps([{"type": "conv2d", "filters": 1000, "kernel_size": 1}, pool], "7x7x1")
    assert steps[1].output_shape == (1000, 1, 1)


@given(architecture=architectures())
@settings(max_examples=count("random architectures"), deadline=None, suppress_health_check=list(HealthCheck))
def test_arithmetic_equals_pytorch(architecture: Architecture) -> None:
    try:
        steps = plan(architecture)
    except ArchitectureError:
        assume(False)
    module = build_module(architecture).eval()
    assert sum(step.parameters for step in steps) == sum(p.numel() for p in module.parameters())
    names = [name for step in steps for name in module_names(step.layer, step.name, step.effect)]
    assert [name for name, _ in module.named_children() if name != VALUE_SCALE] == names
    assert hasattr(module, VALUE_SCALE) == (architecture.task == "regression")
    shapes: dict[str, tuple[int, ...]] = {}
    for name, child in module.named_children():
        child.register_forward_hook(lambda _, __, output, name=name: shapes.update({name: tuple(output.shape[1:])}))
    with torch.no_grad():
        module(torch.zeros(1, *architecture.input_shape))
    for step in steps:
        built = next(shape for name, shape in reversed(shapes.items()) if name.startswith(step.name))
        assert built == step.output_shape, step.name


def test_every_name_that_pytorch_keeps_is_known() -> None:
    assert {name for name in dir(torch.nn.Sequential()) if not name.startswith("_")} <= RESERVED_NAMES


def test_signals() -> None:
    text = """
name: signal
input: 2x100
layers:
  - conv1d: {filters: 4, kernel_size: 5, strides: 2, padding: same, activation: relu}
  - max_pool1d
  - avg_pool1d: {pool_size: 2, padding: same}
  - batch_norm
  - global_avg_pool1d
  - flatten
  - dense: {units: 1}
"""
    architecture = parse_architecture(text, source="signal.yaml")
    assert architecture.task == "regression"
    assert [s.output_shape for s in plan(architecture)] == [(4, 50), (4, 25), (4, 13), (4, 13), (4, 1), (4,), (1,)]
    assert build_module(architecture).eval()(torch.zeros(3, 2, 100)).shape == (3, 1)


def test_same_average_pooling_leaves_padding_out_of_the_mean() -> None:
    head = [{"type": "flatten"}, {"type": "dense", "units": 1}]
    for size, pool, stride in ((5, 2, 2), (5, 3, 2), (6, 4, 1), (7, 3, 3)):
        layer = {"type": "avg_pool2d", "pool_size": pool, "strides": stride, "padding": "same"}
        architecture = Architecture.model_validate({"name": "a", "input": f"{size}x{size}x1", "layers": [layer, *head]})
        pooling = build_module(architecture)[:-3]  # type: ignore[index]  # a Sequential, without its head and scale
        assert torch.allclose(pooling(torch.ones(1, 1, size, size)), torch.ones(()))


def test_same_max_pooling_is_never_won_by_padding() -> None:
    layers = [{"type": "max_pool2d", "pool_size": 2, "strides": 1, "padding": "same"}, {"type": "flatten"}]
    content = {"name": "a", "input": "3x3x1", "layers": [*layers, {"type": "dense", "units": 1}]}
    pooling = build_module(Architecture.model_validate(content))[:-3]  # type: ignore[index]  # a Sequential, without its head and scale
    image = -torch.arange(1.0, 10.0).view(1, 1, 3, 3)
    expected = torch.tensor([[-1.0, -2, -3], [-4, -5, -6], [-7, -8, -9]])
    assert torch.equal(pooling(image)[0, 0], expected)


def test_a_dropped_row_is_told() -> None:
    steps = plan(find_architecture("mnist_cnn"))
    assert "max_pool2d_2 drops the last 1 row of 11" in steps[3].warnings[0]


def test_receptive_field_grows_with_strides() -> None:
    steps = plan(find_architecture("mnist_cnn"))
    assert [step.receptive_field[0] for step in steps[:5]] == [3, 4, 8, 10, 26]


def test_summary_does_not_load_pytorch(run_python: Any) -> None:
    run_python("import sys, conveyor_cli.commands.summary; assert 'torch' not in sys.modules")
