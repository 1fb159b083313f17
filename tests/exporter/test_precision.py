"""int8 and fp16 for real: what the files hold, what is refused before any work, what the contract says."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from conveyor_contract.model_file import read_model_file
from conveyor_exporter.checks.candidate import Proof
from conveyor_exporter.checks.registry import check_proof
from conveyor_exporter.description import ExportOptions, ModelDescription
from conveyor_exporter.errors import ExportError, RejectedError
from conveyor_exporter.exporting import export
from conveyor_exporter.foreign import check_file
from conveyor_exporter.precision.choice import choose, hindrance
from conveyor_exporter.precision.gate import Limits
from conveyor_exporter.precision.int8 import quantise
from conveyor_exporter.publishing import ExportResult, conclude
from conveyor_exporter.repository import Destination
from conveyor_exporter.session import Session, has_cuda
from conveyor_exporter.trial import Trial
from tests.exporter.conftest import SMALL, Converted, describe
from tests.exporter.networks import plain

# Whatever is measured: these tests are of everything else.
LENIENT = Limits(max_drop=100, min_agreement=0, min_speedup=0, min_speedup_at_each=0)
QUICK = replace(SMALL, measure_seconds=0.0)


def described() -> ModelDescription:
    description = describe()
    assert description.test is not None
    return replace(description, training=description.test.rows)


@pytest.fixture(scope="module")
def proof(converted: Converted) -> Proof:
    return converted.proof(described())


def publish(proof: Proof, repository: Path, options: ExportOptions) -> ExportResult:
    """What export does with a network once it is converted."""
    destination = Destination.choose(repository, "model", None, force=False)
    trial = Trial(name="model", version=destination.version, options=options)
    trial.hold(lambda: proof)
    return conclude(trial, destination)


def test_int8_quantises_the_layers_and_leaves_head_and_softmax_in_float(proof: Proof) -> None:
    rows = described().training
    assert rows is not None
    quantised = quantise(proof.candidate.model, "image", rows)
    graph = onnx.load_from_string(quantised).graph
    feeds = {output: node for node in graph.node for output in node.output}
    for node in graph.node:
        if node.op_type in ("Conv", "Gemm"):
            assert [feeds[name].op_type for name in node.input[:2]] == ["DequantizeLinear"] * 2
        if node.op_type == "Softmax":
            assert feeds[node.input[0]].op_type in ("Gemm", "DequantizeLinear")
    weights = {tensor.name: tensor for tensor in graph.initializer}
    scales = next(weights[node.input[1]] for node in graph.node if "weight" in node.name or "weight" in node.input[0])
    assert list(scales.dims) == [4]  # one scale for each of the four output channels
    assert not graph.value_info
    assert quantise(proof.candidate.model, "image", rows) == quantised  # equal rows, equal bytes
    np.testing.assert_allclose(Session(quantised).run(rows), proof.candidate.session.run(rows), atol=0.1)


def test_int8_that_is_kept_is_published_with_its_own_evidence(proof: Proof, tmp_path: Path) -> None:
    options = replace(QUICK, precision="int8", limits=LENIENT)
    result = publish(proof, tmp_path / "models", options)
    contract = read_model_file(result.path).verify()
    assert (contract.precision, contract.provider, contract.unproved) == ("int8", "CPUExecutionProvider", False)
    checks = {check.name: check for check in contract.evidence.checks}
    assert list(checks)[-3:] == ["fp32_source", "golden_samples", "pays"]
    figures = checks["pays"].figures
    assert figures["drop"] == pytest.approx(figures["fp32_score"] - figures["score"])
    assert "ms" not in checks["pays"].detail  # timings stay out of the file
    assert all(check.ok for check in check_file(result.path, lambda _: None))
    report = json.loads((result.path.parent / "report.json").read_text())
    assert [line["precision"] for line in report["precisions"]] == ["fp32", "int8"]
    assert report["precisions"][1]["p50_ms"].keys() == {"1", "2", "4", "8"}
    assert len(report["changed_labels"]) == round((1 - figures["agreement"]) * 40)
    assert all(change.keys() == {"row", "target", "reference", "exported"} for change in report["changed_labels"])


def test_int8_that_does_not_pay_is_put_aside_with_the_figures(proof: Proof, tmp_path: Path) -> None:
    options = replace(QUICK, precision="int8", limits=replace(LENIENT, min_speedup=1000.0))
    options = replace(options, rejected_dir=tmp_path / "rejected")
    with pytest.raises(RejectedError, match="check pays failed: int8 is .* times as fast as fp32") as refusal:
        publish(proof, tmp_path / "models", options)
    assert [line.precision for line in refusal.value.report.comparisons] == ["fp32", "int8"]
    assert not (tmp_path / "models").exists()
    rejected = onnx.load(str(tmp_path / "rejected/model-1/model.onnx"))
    assert any(node.op_type == "QuantizeLinear" for node in rejected.graph.node)


def test_auto_falls_back_to_fp32_and_says_why(proof: Proof) -> None:
    checks = list(check_proof(proof, lambda _: None))
    limits = Limits(min_speedup=1000.0)
    choice = choose(proof, checks, replace(QUICK, precision="auto", limits=limits))
    assert choice.outcome.candidate.precision == "fp32"
    assert choice.outcome.checks == tuple(checks)
    reasons = {line.precision: line.decision.reason for line in choice.comparisons if line.precision != "fp32"}
    assert "fast" in reasons["int8"]
    assert reasons.keys() == {"int8", "fp16"}


@pytest.mark.skipif(has_cuda(), reason="of machines without CUDA")
def test_fp16_is_not_proved_here(proof: Proof, tmp_path: Path) -> None:
    options = replace(QUICK, precision="fp16")
    with pytest.raises(ExportError, match="not proved here"):
        export(plain(), described(), tmp_path / "models", "model", options=options)
    assert not (tmp_path / "models").exists()
    result = publish(proof, tmp_path / "models", replace(options, unproved=True))
    contract = read_model_file(result.path).verify()
    assert (contract.precision, contract.provider, contract.unproved) == ("fp16", "CUDAExecutionProvider", True)
    types = {
        tensor.data_type for tensor in onnx.load(str(result.path)).graph.initializer if tensor.name.endswith("weight")
    }
    assert types == {onnx.TensorProto.FLOAT16}
    assert all(check.ok for check in check_file(result.path, lambda _: None))


@pytest.mark.parametrize(
    ("precision", "changes", "word"),
    [
        ("int8", {"training": None}, "calibrated on rows of the training data"),
        ("int8", {"test": None}, "no test rows"),
    ],
)
def test_what_cannot_be_tried_is_refused_before_any_work(
    precision: str, changes: dict[str, object], word: str, tmp_path: Path
) -> None:
    description = replace(described(), **changes)  # type: ignore[arg-type]  # fields of the description
    options = replace(QUICK, precision=precision)  # type: ignore[arg-type]  # one of its words
    with pytest.raises(ExportError, match=word):
        export(plain(), description, tmp_path / "models", "model", options=options)
    assert word in (hindrance(precision, description, ExportOptions()) or "")


def test_a_network_with_nothing_to_quantise_is_refused(proof: Proof) -> None:
    graph = onnx.load_from_string(proof.candidate.model)
    del graph.graph.node[:]
    rows = described().training
    assert rows is not None
    with pytest.raises(ExportError, match="nothing to make faster"):
        quantise(graph.SerializeToString(), "image", rows)
