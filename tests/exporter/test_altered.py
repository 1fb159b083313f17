"""A sound graph altered in one way after export, or described wrongly, is refused by the check that should."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import ModelProto, helper, numpy_helper

from conveyor_exporter.checks.accuracy import changed_labels
from conveyor_exporter.description import LayerShape
from conveyor_exporter.onnx_graph import constant_values
from tests.exporter.conftest import Converted, describe, failures


def _initializer(model: ModelProto, ending: str) -> onnx.TensorProto:
    return next(tensor for tensor in model.graph.initializer if tensor.name.endswith(ending))


def _change(model: ModelProto, ending: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    tensor = _initializer(model, ending)
    changed = change(numpy_helper.to_array(tensor).copy())
    tensor.CopyFrom(numpy_helper.from_array(changed, tensor.name))


def corrupt_weight(model: ModelProto) -> None:
    def flip(weights: np.ndarray) -> np.ndarray:
        weights.reshape(-1)[5] *= -1.5
        return weights

    _change(model, "0.weight", flip)


def other_scale(model: ModelProto) -> None:
    _change(model, "head.scale", lambda scale: scale * np.float32(1.01))


def no_normalisation(model: ModelProto) -> None:
    _change(model, "head.mean", np.zeros_like)


def fix_batch(model: ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 2


def rename_axis(model: ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "s77"


def bake_reshape(model: ModelProto) -> None:
    """The lying graph: it still declares a free batch axis, passes the checker, loads, and runs at one size only."""
    reshape = next(node for node in model.graph.node if node.op_type == "Reshape")
    constants = constant_values(model)
    sizes = numpy_helper.to_array(constants[reshape.input[1]]).copy()
    sizes[0], sizes[1] = 8, -1
    model.graph.initializer.append(numpy_helper.from_array(sizes, "baked"))
    reshape.input[1] = "baked"


def leak_path(model: ModelProto) -> None:
    model.graph.node[0].doc_string = "File /home/someone/models/net.py, line 3"


def raise_ir_version(model: ModelProto) -> None:
    model.ir_version = 11


def keep_dropout(model: ModelProto) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "training"))
    model.graph.initializer.append(numpy_helper.from_array(np.array(0.5, np.float32), "ratio"))
    last = model.graph.node[-1]
    dropout = helper.make_node("Dropout", [last.input[0], "ratio", "training"], ["dropped"], name="dropout")
    model.graph.node.insert(len(model.graph.node) - 1, dropout)
    model.graph.node[-1].input[0] = "dropped"


def drop_softmax(model: ModelProto) -> None:
    last = model.graph.node[-1]
    model.graph.node[-1].CopyFrom(helper.make_node("Identity", [last.input[0]], list(last.output)))


ALTERATIONS: dict[Callable[[ModelProto], None], str] = {
    corrupt_weight: "parity_noise",
    other_scale: "parity_noise",
    no_normalisation: "parity_noise",
    fix_batch: "declared_axes",
    rename_axis: "declared_axes",
    bake_reshape: "shapes",
    leak_path: "no_paths",
    raise_ir_version: "ir_version",
    keep_dropout: "train_mode",
    drop_softmax: "probabilities",
}


@pytest.mark.parametrize("alter", ALTERATIONS, ids=lambda alter: alter.__name__)
def test_an_altered_graph_is_refused(alter: Callable[[ModelProto], None], converted: Converted) -> None:
    assert next(iter(failures(converted.proof(alter=alter)))) == ALTERATIONS[alter]


def test_the_unaltered_graph_is_accepted(converted: Converted, converted_colour: Converted) -> None:
    assert not failures(converted.proof())
    assert not failures(converted_colour.proof(describe((3, 8, 8))))


def test_swapped_colours_are_refused(converted_colour: Converted) -> None:
    def swap(model: ModelProto) -> None:
        _change(model, "0.weight", lambda weights: weights[:, ::-1].copy())

    found = failures(converted_colour.proof(describe((3, 8, 8)), alter=swap))
    assert next(iter(found)) == "parity_noise"


def test_the_first_layer_that_differs_is_named(converted: Converted) -> None:
    assert "first layer that differs is 0 (Conv2d)" in failures(converted.proof(alter=corrupt_weight))["parity_noise"]


def test_a_baked_reshape_is_named(converted: Converted) -> None:
    assert "Reshape" in failures(converted.proof(alter=bake_reshape))["shapes"]


def test_an_altered_golden_sample_is_refused(converted: Converted) -> None:
    proof = converted.proof()
    proof.golden.samples[3].reference_output[0] += 0.01
    assert list(failures(proof)) == ["golden_samples"]


def test_a_golden_sample_of_another_image_is_refused(converted: Converted) -> None:
    proof = converted.proof()
    proof.golden.samples[3].encoded_image = proof.golden.samples[4].encoded_image
    assert "other pixels" in failures(proof)["golden_samples"]


@pytest.mark.parametrize(
    ("labels", "word"), [(("a", "b"), "2 labels for 3 outputs"), (("a", "b", "b"), "'b' stands for several")]
)
def test_wrong_labels_are_refused(labels: tuple[str, ...], word: str, converted: Converted) -> None:
    assert word in failures(converted.proof(replace(describe(), labels=labels)))["labels"]


def test_another_accuracy_than_training_reported_is_refused(converted: Converted) -> None:
    found = failures(converted.proof(replace(describe(), reported_accuracy=0.99)))
    assert "training reports 99.00%" in found["accuracy"]


def test_another_layer_shape_than_by_arithmetic_is_refused(converted: Converted) -> None:
    layers = (LayerShape(path="0", shape=(4, 6, 6)), LayerShape(path="2", shape=(4, 2, 2)))
    found = failures(converted.proof(replace(describe(), layers=layers)))
    assert "layer 2 should give [4, 2, 2], PyTorch gives [4, 3, 3]" in found["layer_shapes"]


def test_every_row_that_changes_its_label_is_listed(converted: Converted) -> None:
    def swap_labels(model: ModelProto) -> None:
        _change(model, "4.bias", lambda bias: bias + np.array([3, 0, 0], np.float32))

    proof = converted.proof(alter=swap_labels)
    changed = changed_labels(proof)
    assert f"{len(changed)} of 40 test rows change their label" in failures(proof)["agreement"]
    assert changed
    assert all(change.exported == 0 != change.reference for change in changed)
    assert len({change.row for change in changed}) == len(changed)
