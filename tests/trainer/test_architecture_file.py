"""Reading architectures: what is written comes back, and each mistake is named with its line."""

from pathlib import Path

import pytest

from conveyor_trainer.architecture_file import (
    dump_architecture,
    find_architecture,
    parse_architecture,
    ready_made_architectures,
)
from conveyor_trainer.errors import ArchitectureError, UnknownNameError
from conveyor_trainer.shapes import plan
from tests.trainer.networks import TINY

BLOCK = "  - conv2d: {name: block, filters: 3, kernel_size: 3, strides: 2, padding: same, activation: relu}\n"
HEAD = "name: bad\ninput: 28x28x1\nlayers:\n"


@pytest.mark.parametrize("name", ready_made_architectures())
def test_ready_made_architectures_survive_writing(name: str) -> None:
    architecture = find_architecture(name)
    again = parse_architecture(dump_architecture(architecture), source="again")
    assert again.digest() == architecture.digest()
    assert again.name == name
    plan(again)


def test_an_unknown_name_gives_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'mnist_cnn'"):
        find_architecture("mnist_cn")
    with pytest.raises(ArchitectureError, match="cannot read the architecture file absent.yaml"):
        find_architecture("absent.yaml")


def test_a_file_is_found_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY)
    assert find_architecture(str(tmp_path / "tiny.yaml")).input_shape == (1, 12, 12)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a mapping with the keys name, input and layers"),
        ("name: [", "line 1: this is not YAML"),
        ("name: bad\ninput: 28\nlayers: [flatten]", "input: must read HxWxC"),
        ("name: bad\ninput: 28x28x2\nlayers: [flatten]", "1 channel .* or 3"),
        (HEAD + "  - conv: {filters: 3}", "line 4: there is no layer 'conv' .did you mean 'conv2d'"),
        (HEAD + "  - conv2d: {filters: 3}", "line 4: conv2d: kernel_size: Field required"),
        (HEAD + "  - flatten\n  - conv2d: {filters: 0, kernel_size: 3}", "line 5: conv2d: filters: .*greater than 0"),
        (HEAD + "  - conv2d: {filters: 1, kernel_size: 3, padding: full}", "line 4: conv2d: padding: must be valid"),
        (HEAD + "  - conv2d: {filters: 1, kernel_size: [3, 3, 3]}", "one number or 2, got 3"),
        (HEAD + "  - max_pool2d: {pool_size: 2, padding: 2}", "line 4: max_pool2d: padding 2 is more than half"),
        (HEAD + "  - dropout: 0.5", "line 4: the settings of dropout must be a mapping"),
        (HEAD + "  - dense: {units: 3, activation: softmax}\n  - flatten", "softmax belongs to the last layer"),
        (HEAD + "  - residual:\n      layers:\n        - conv2d: {filter: 3}", "line 6: conv2d"),
        (HEAD + "  - conv2d: {filters: 3, kernel_size: 3, stride: 2}", "line 4: conv2d: .* 'stride' .*mean 'strides'"),
        (HEAD + "  - flatten\nclass: 3", r"bad.yaml: there is no setting 'class' \(did you mean 'classes'\?\)"),
        (HEAD + "  - dense: {units: class}", "line 4: dense: units: must be a number of at least 1, or `classes`"),
        (HEAD + "  - conv2d:\n      filters: 8\n      filters: 16", "line 6: .* the key 'filters' comes twice"),
        (HEAD + "  - flatten\nname: again", "line 5: .* the key 'name' comes twice"),
        (HEAD + "  - flatten: {name: _x}", "line 4: flatten: name: String should match"),
        (HEAD + "  - residual:\n      layers:\n        - convolution", "line 6: there is no layer 'convolution'"),
    ],
)
def test_mistakes_in_the_file(text: str, message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        parse_architecture(text, source="bad.yaml")


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ("  - dense: {units: 3}", "bad line 4: dense_1: dense takes a flat vector"),
        ("  - conv1d: {filters: 3, kernel_size: 3}", "line 4: conv1d_1: this layer takes a signal"),
        ("  - flatten\n  - max_pool2d", "line 5: max_pool2d_1: this layer takes an image"),
        ("  - max_pool2d: {pool_size: 28}\n  - max_pool2d", "line 5: max_pool2d_2: .* shape would vanish"),
        ("  - conv2d: {filters: 3, kernel_size: 3, groups: 2}", "line 4: conv2d_1: groups 2 must divide"),
        ("  - flatten\n  - dense: {units: classes}", "line 5: dense_1: .units: classes. needs to know"),
        ("  - max_pool2d", "the last layer, max_pool2d_1, gives 14 x 14 x 1, not a flat vector"),
        ("  - flatten: {name: x}\n  - dense: {units: 2, name: x}", "line 5: x: two layers are named 'x'"),
        ("  - flatten: {name: append}", "bad line 4: append: PyTorch keeps the name 'append' for itself"),
        ("  - flatten: {name: value_scale}", "line 4: value_scale: PyTorch keeps the name"),
        (BLOCK + "  - relu: {name: block_relu}", "line 5: block_relu: it needs the name 'block_relu', which .* block"),
        ("  - relu: {name: block_relu}\n" + BLOCK, "line 5: block: it needs the name 'block_relu'"),
        ("  - relu: {name: block_pad}\n" + BLOCK, "line 5: block: it needs the name 'block_pad'"),
        ("  - residual:\n      layers:\n        - relu: {name: train}", "line 6: train: PyTorch keeps the name"),
        (
            "  - residual:\n      shortcut: identity\n      layers:\n        - max_pool2d",
            "line 4: residual_1: shortcut identity needs equal shapes",
        ),
        (
            "  - residual:\n      layers:\n        - conv2d: {filters: 2, kernel_size: 40}",
            "line 6: conv2d_1: a window of 40",
        ),
    ],
)
def test_layers_that_do_not_fit(layers: str, message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        plan(parse_architecture(HEAD + layers, source="bad.yaml"))
