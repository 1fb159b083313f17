"""The architectures that come along: their figures, and other input sizes and colours."""

from pathlib import Path

import pytest
import torch

from conveyor_cli.main import main
from conveyor_trainer.architecture_file import find_architecture, ready_made_architectures
from conveyor_trainer.errors import ArchitectureError
from conveyor_trainer.module import build_module
from conveyor_trainer.prepare import prepare
from conveyor_trainer.shapes import plan
from tests.trainer.networks import TINY, tiny_settings

FIGURES = {  # input C x H x W, parameters, side of the last feature map
    "mnist_cnn": ((1, 28, 28), 121_930, 5),
    "tiny_resnet": ((3, 32, 32), 175_258, 8),
    "image_cnn": ((3, 224, 224), 395_674, 14),
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures(name: str) -> None:
    shape, parameters, side = FIGURES[name]
    architecture = find_architecture(name)
    steps = plan(architecture)
    assert architecture.input_shape == shape
    assert sum(step.parameters for step in steps) == parameters
    maps = [step.output_shape for step in steps if len(step.output_shape) == 3 and step.output_shape[1] > 1]
    assert maps[-1][1:] == (side, side)
    module = build_module(architecture)
    assert sum(parameter.numel() for parameter in module.parameters()) == parameters
    assert module.eval()(torch.zeros(1, *shape)).shape == (1, 10)


def test_every_ready_made_architecture_says_what_it_is() -> None:
    assert set(FIGURES) <= set(ready_made_architectures())
    for name in ready_made_architectures():
        architecture = find_architecture(name)
        assert architecture.name == name
        assert architecture.description
        assert not [warning for step in plan(architecture) for warning in step.warnings if name != "mnist_cnn"]


def test_another_size_and_colour(tmp_path: Path) -> None:
    job = prepare(tiny_settings(tmp_path, architecture="image_cnn", input_size="40x24", colour="grayscale"))
    assert job.architecture.input_shape == (1, 40, 24)
    assert job.data.train.rows.shape[1:] == (40, 24, 1)
    assert prepare(tiny_settings(tmp_path, colour="rgb")).architecture.input_shape == (3, 12, 12)
    with pytest.raises(ArchitectureError, match=r"max_pool2d_1.*shape would vanish"):
        prepare(tiny_settings(tmp_path, input_size="3x12"))
    signals = tiny_settings(tmp_path, input_size="3x12")
    (tmp_path / "tiny.yaml").write_text(TINY.replace("12x12x1", "1x64"))
    with pytest.raises(ArchitectureError, match=r"tiny takes signals of 1x64 \(channels x length\): only images have"):
        prepare(signals)


def test_a_size_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["train", "image_cnn", "--data", "digits", "--run", str(tmp_path / "run")]
    for size in ("0x3", "224", "3x224x224"):
        assert main([*arguments, "--input-size", size]) == 2
        assert "--input-size: must read HxW, height and width in pixels" in capsys.readouterr().err
