"""conveyor adopt: files of other tools get a head, a softmax where they need one, and a contract; or are refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper
from PIL import Image

from conveyor.v1 import model_pb2
from conveyor_cli.main import main
from conveyor_contract.contract import shape_of
from conveyor_contract.model_file import read_model_file
from conveyor_exporter.adopting import adopt
from conveyor_exporter.errors import ExportError, RejectedError
from conveyor_exporter.publishing import ExportResult
from conveyor_exporter.session import Session
from tests.exporter.conftest import LABELS, SMALL, describe

MEAN, DEVIATION = np.full(3, 0.4, np.float32), np.full(3, 0.3, np.float32)
FLAT = 3 * 8 * 8


def classifier(
    shape: tuple[Any, ...] = ("N", 3, 8, 8),
    *,
    datatype: int = TensorProto.FLOAT,
    last: str = "Identity",
    rows: int = -1,
    opset: int = 17,
) -> ModelProto:
    """`image` -> flatten -> matmul -> `last` -> `scores`; our own names are there already."""
    weights = np.random.default_rng(0).normal(size=(FLAT, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Cast", ["image"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["floats", "sizes"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["probabilities"]),
        helper.make_node(last, ["probabilities"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "foreign",
        [helper.make_tensor_value_info("image", datatype, shape)],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [shape[0], 3])],
        [
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(np.array([rows, FLAT]), "sizes"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def save(model: ModelProto, tmp_path: Path) -> Path:
    path = tmp_path / "foreign.onnx"
    onnx.save(model, str(path))
    return path


def expected(rows: np.ndarray, *, nchw: bool = True, normalised: bool = True) -> np.ndarray:
    weights = np.random.default_rng(0).normal(size=(FLAT, 3)).astype(np.float32)
    planes = (rows.astype(np.float32) / 255 - MEAN) / DEVIATION if normalised else rows.astype(np.float32)
    logits = (planes.transpose(0, 3, 1, 2) if nchw else planes).reshape(len(rows), -1) @ weights
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


ROWS = np.random.default_rng(1).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)


def adopted(model: ModelProto, tmp_path: Path, **changes: Any) -> ExportResult:
    description = replace(describe((3, 8, 8)), **changes)
    options = replace(SMALL, rejected_dir=tmp_path / "rejected")
    return adopt(save(model, tmp_path), description, tmp_path / "models", "theirs", options=options)


@pytest.mark.parametrize(
    ("model", "nchw"),
    [
        (classifier(), True),
        (classifier(("N", 8, 8, 3)), False),
        (classifier(("N", 3, "height", "width")), True),
        (classifier((1, 3, 8, 8)), True),  # only the declaration fixes the batch
        (classifier(opset=9), True),
    ],
    ids=["NCHW", "NHWC", "free sizes", "fixed by declaration", "old opset"],
)
def test_a_float_classifier_gets_head_and_softmax(model: ModelProto, nchw: bool, tmp_path: Path) -> None:
    result = adopted(model, tmp_path)
    np.testing.assert_allclose(Session(result.path).run(ROWS), expected(ROWS, nchw=nchw), atol=1e-5)
    contract = read_model_file(result.path).verify()
    assert tuple(contract.labels) == LABELS
    assert shape_of(contract.inputs[0]) == ("batch", 8, 8, 3)
    assert contract.preprocessing.in_graph.mean[0] == pytest.approx(0.4)
    layout = model_pb2.LAYOUT_NCHW if nchw else model_pb2.LAYOUT_NHWC
    assert contract.preprocessing.in_graph.to_layout == layout
    figures = {check.name: check.figures for check in contract.evidence.checks}
    assert figures["accuracy"]["original"] == figures["accuracy"]["onnxruntime"]
    assert figures["parity_logits"]["max_difference"] < 1e-4


def test_half_precision_and_pixels_are_taken_as_they_are(tmp_path: Path) -> None:
    result = adopted(classifier(datatype=TensorProto.FLOAT16), tmp_path)
    np.testing.assert_allclose(Session(result.path).run(ROWS), expected(ROWS), atol=0.02)
    result = adopted(classifier(("N", 8, 8, 3), datatype=TensorProto.UINT8), tmp_path)
    np.testing.assert_allclose(Session(result.path).run(ROWS), expected(ROWS, nchw=False, normalised=False), atol=1e-5)


def test_its_own_softmax_is_enough(tmp_path: Path) -> None:
    result = adopted(classifier(last="Softmax"), tmp_path, returns=model_pb2.MEANING_PROBABILITIES)
    np.testing.assert_allclose(Session(result.path).run(ROWS), expected(ROWS), atol=1e-5)


@pytest.mark.parametrize(
    ("model", "changes", "check", "word"),
    [
        (classifier(last="Softmax"), {}, "single_softmax", "2 times"),
        (classifier(), {"returns": model_pb2.MEANING_PROBABILITIES}, "probabilities", "no probabilities"),
        (classifier(), {"labels": ("a", "b")}, "labels", "2 labels for 3 outputs"),
        (classifier((2, 3, 8, 8), rows=2), {}, "shapes", "Reshape"),
        (classifier(opset=23), {}, "opset", "opset 23"),
    ],
    ids=["two softmaxes", "logits called probabilities", "labels missing", "baked batch", "new opset"],
)
def test_a_broken_file_is_refused(
    model: ModelProto, changes: dict[str, Any], check: str, word: str, tmp_path: Path
) -> None:
    with pytest.raises(RejectedError, match=f"check {check} failed") as refusal:
        adopted(model, tmp_path, **changes)
    assert word in str(refusal.value)
    assert not (tmp_path / "models").exists()
    assert json.loads((tmp_path / "rejected/theirs-1/report.json").read_text())["ok"] is False


@pytest.mark.parametrize(
    ("shape", "datatype", "word"),
    [
        (("N", 3, 9, 9), TensorProto.FLOAT, "8 x 8 x 3"),
        (("N", 192), TensorProto.FLOAT, "no image"),
        (("N", 3, 8, 8), TensorProto.INT64, "takes INT64"),
    ],
)
def test_what_takes_no_such_image_is_an_error(shape: tuple[Any, ...], datatype: int, word: str, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=word):
        adopted(classifier(shape, datatype=datatype), tmp_path)


def test_the_command_with_golden_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    save(classifier(), tmp_path)
    Path("labels.txt").write_text("ant\nbee\ncat\n")
    Image.fromarray(ROWS[0]).resize((20, 30)).save("a.png")
    command = [
        "adopt",
        "foreign.onnx",
        "--to",
        "models",
        "--name",
        "theirs",
        "--input",
        "3x8x8",
        "--mean",
        "0.4,0.4,0.4",
    ]
    command += ["--standard-deviation", "0.3,0.3,0.3", "--labels", "labels.txt", "--images", "a.png"]
    assert main([*command, "--shortest-side", "10", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ok"]
    file = read_model_file(Path("models/theirs/1/model.onnx"))
    assert file.verify().preprocessing.resize.shortest_side == 10
    assert file.golden is not None
    assert [sample.name for sample in file.golden.samples] == ["image-0"]
    assert main(["check", "models/theirs/1/model.onnx"]) == 0
    capsys.readouterr()
    for wrong, words in (
        (["--input", "8x8"], "write CxHxW"),
        (["--input", "2x8x8"], "2 channels"),
        (["--shortest-side", "4"], "cannot be cropped"),
        (["--labels", "nowhere.txt"], "cannot be read"),
    ):
        assert main([*command, *wrong]) == 2
        assert words in capsys.readouterr().err
    assert main([*command, "--images", "labels.txt"]) == 1
    assert "labels.txt" in capsys.readouterr().err
