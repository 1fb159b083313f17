"""conveyor check tells the truth about files that other tools made."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from torch import nn

from conveyor_contract.errors import ContractError
from conveyor_exporter.foreign import check_file
from conveyor_exporter.publishing import ExportResult
from tests.models import write_tiny_model


def failing(path: Path) -> dict[str, str]:
    return {check.name: check.detail for check in check_file(path, lambda _: None) if not check.ok}


def classifier(
    *middle: NodeProto, batch: int | str = "batch", last: str = "Softmax", opset: int = 17, ir_version: int = 8
) -> ModelProto:
    """float [batch, 4] -> gemm -> `hidden` -> the nodes of `middle`, ending in `logits` -> `last` -> `answer`."""
    weights = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Gemm", ["x", "weights"], ["hidden" if middle else "logits"], name="dense"),
        *middle,
        helper.make_node(last, ["logits"], ["answer"], name="last"),
    ]
    graph = helper.make_graph(
        nodes,
        "foreign",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 4])],
        [helper.make_tensor_value_info("answer", TensorProto.FLOAT, [batch, 3])],
        [numpy_helper.from_array(weights, "weights")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version)


def save(model: ModelProto, tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    onnx.save(model, str(path))
    return path


def node(operator: str, *inputs: str, **attributes: Any) -> NodeProto:
    return helper.make_node(operator, [*inputs], ["logits"], name=operator.lower(), **attributes)


def leaking() -> ModelProto:
    model = classifier()
    model.graph.node[0].doc_string = "/home/someone/train.py"
    return model


def with_dropout() -> ModelProto:
    model = classifier(node("Dropout", "hidden", "ratio", "training"))
    model.graph.initializer.append(numpy_helper.from_array(np.array(0.5, np.float32), "ratio"))
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "training"))
    return model


def lying() -> ModelProto:
    model = classifier(node("Reshape", "hidden", "sizes"))
    model.graph.initializer.append(numpy_helper.from_array(np.array([2, 3]), "sizes"))
    return model


def coupled() -> ModelProto:
    return classifier(node("LpNormalization", "hidden", axis=0))


CASES: dict[str, tuple[Callable[[], ModelProto], str | None]] = {
    "sound": (classifier, None),
    "another axis name": (lambda: classifier(batch="N"), None),
    "baked batch": (lambda: classifier(batch=1), "declared_axes"),
    "lying reshape": (lying, "shapes"),
    "logits": (lambda: classifier(last="Identity"), "probabilities"),
    "double softmax": (lambda: classifier(node("Softmax", "hidden")), "single_softmax"),
    "coupled rows": (coupled, "batch_invariance"),
    "dropout left": (with_dropout, "train_mode"),
    "noise": (lambda: classifier(node("RandomNormalLike", "hidden")), "randomness"),
    "leaked path": (leaking, "no_paths"),
    "new opset": (lambda: classifier(opset=23, ir_version=10), "opset"),
    "new IR version": (lambda: classifier(ir_version=11), "ir_version"),
}


@pytest.mark.parametrize("name", CASES)
def test_the_truth_is_told(name: str, tmp_path: Path) -> None:
    make, expected = CASES[name]
    found = failing(save(make(), tmp_path))
    assert next(iter(found), None) == expected


def test_weights_in_a_second_file_are_found_missing_or_not(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(classifier(), str(path), save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert list(failing(path)) == ["single_file"]
    (tmp_path / "weights.bin").unlink()
    assert list(failing(path)) == ["single_file", "loads"]


def dropping() -> nn.Module:
    """As people have them: dropout inside, logits at the end."""
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Dropout(0.4), nn.Linear(144, 3))


class BakedView(nn.Module):
    """Its view takes the batch size for a number when it is traced."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 4, 3), nn.Linear(144, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.conv(x).view(int(x.size(0)), -1)).softmax(dim=1)  # type: ignore[no-any-return]


EXAMPLE = torch.zeros(2, 1, 8, 8)
FREE: dict[str, Any] = {
    "input_names": ["image"],
    "output_names": ["answer"],
    "dynamic_axes": {"image": {0: "batch"}, "answer": {0: "batch"}},
}


def by_torch(network: nn.Module, path: Path, **options: Any) -> dict[str, str]:
    """Exports as somebody would who leaves everything else as it is, and checks what comes out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(network, (EXAMPLE,), str(path), verbose=False, **options)
    return failing(path)


def test_torchs_default_export_is_seen_for_what_it_is(tmp_path: Path) -> None:
    found = by_torch(dropping().eval(), tmp_path / "model.onnx")
    assert set(found) == {"single_file", "no_paths", "declared_axes", "probabilities"}
    assert "fixed to a batch of 2" in found["declared_axes"]
    assert ".py" in found["no_paths"]


def test_the_legacy_exporter_is_seen_for_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    legacy = {"dynamo": False}
    assert set(by_torch(dropping().eval(), path, **legacy)) == {"declared_axes", "probabilities"}
    training = {"training": torch.onnx.TrainingMode.TRAINING, "do_constant_folding": False}
    found = by_torch(nn.Sequential(dropping(), nn.Softmax(dim=1)), path, **legacy, **training, **FREE)
    assert next(iter(found)) == "train_mode"  # whether its answers differ from run to run, ONNX Runtime decides
    assert "Dropout" in found["train_mode"]
    found = by_torch(BakedView().eval(), path, **legacy, **FREE)
    assert list(found) == ["shapes"]
    assert "Reshape" in found["shapes"]
    # Where the caller has done everything right, so does the file.
    assert not by_torch(nn.Sequential(dropping(), nn.Softmax(dim=1)).eval(), path, **legacy, **FREE)


def test_lightnings_export_is_seen_for_what_it_is(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import lightning

        class Model(lightning.LightningModule):
            def __init__(self) -> None:
                super().__init__()
                self.network = dropping()

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return self.network(x)  # type: ignore[no-any-return]

        Model().to_onnx(str(tmp_path / "model.onnx"), EXAMPLE, verbose=False)
    found = failing(tmp_path / "model.onnx")
    assert {"single_file", "no_paths", "train_mode", "declared_axes", "probabilities"} <= set(found)
    assert "Dropout" in found["train_mode"]


def test_our_own_files_pass(exported: ExportResult, tmp_path: Path) -> None:
    assert not failing(exported.path)
    assert not failing(write_tiny_model(tmp_path))


def test_an_altered_label_breaks_the_seal(exported: ExportResult, tmp_path: Path) -> None:
    altered = tmp_path / "model.onnx"
    altered.write_bytes(exported.path.read_bytes().replace(b'"ant"', b'"owl"'))
    assert "seal" in failing(altered)["contract"]


def test_an_altered_weight_is_found_twice(exported: ExportResult, tmp_path: Path) -> None:
    model = onnx.load(str(exported.path))
    weights = next(tensor for tensor in model.graph.initializer if tensor.name.endswith("0.weight"))
    weights.raw_data = weights.raw_data[::-1]
    found = failing(save(model, tmp_path))
    assert "graph or its weights were altered" in found["contract"]
    assert "golden_samples" in found


@pytest.mark.parametrize("content", [b"", b"not ONNX at all", b"\x00" * 100])
def test_what_is_not_onnx_is_an_error(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ContractError, match="ONNX"):
        list(check_file(path, lambda _: None))
