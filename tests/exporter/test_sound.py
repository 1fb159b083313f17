"""Sound networks of many kinds are exported, and their files answer as they do."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from conveyor.v1 import model_pb2
from conveyor_contract.contract import shape_of
from conveyor_contract.golden import row_of_sample
from conveyor_contract.model_file import read_model_file
from conveyor_contract.preprocessing import Preprocessor
from conveyor_exporter.description import ExportOptions, LabelledRows, ModelDescription
from conveyor_exporter.exporting import export
from conveyor_exporter.model_input import SignalInput
from conveyor_exporter.publishing import ExportResult
from conveyor_exporter.session import Session
from tests.exporter.conftest import LABELS, SMALL, describe
from tests.exporter.networks import SOUND_FLATTENS, Network, Residual, TimmStyle, colour, depthwise, pooled, signal


def signals_of_classes() -> ModelDescription:
    generator = np.random.default_rng(6)
    return ModelDescription(
        input=SignalInput(channels=2, length=16, mean=(0.1, 0.2), standard_deviation=(1.5, 2.0)),
        labels=LABELS,
        test=LabelledRows(
            rows=generator.normal(0, 3, (30, 2, 16)).astype(np.float32), targets=generator.integers(0, 3, 30)
        ),
    )


NETWORKS: dict[str, tuple[nn.Module, ModelDescription]] = {
    **{name: (Network(forward), describe()) for name, forward in SOUND_FLATTENS.items()},
    "residual": (Residual(), describe()),
    "depthwise": (depthwise(), describe((3, 8, 8))),
    "its own softmax": (
        nn.Sequential(colour(), nn.Softmax(dim=1)),
        replace(describe((3, 8, 8)), returns=model_pb2.MEANING_PROBABILITIES),
    ),
    "log softmax": (nn.Sequential(colour(), nn.LogSoftmax(dim=1)), describe((3, 8, 8))),
    "timm-style": (TimmStyle(), describe((3, 16, 16))),
    "colour 224": (pooled(3), describe((3, 224, 224), rows=4)),
    "signals": (signal(), signals_of_classes()),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_is_accepted(name: str, repository: Path) -> None:
    network, description = NETWORKS[name]
    options = replace(SMALL, max_batch_size=2) if name == "colour 224" else SMALL
    result = export(network, description, repository, "model", options=options)
    assert description.test is not None
    rows = description.test.rows[:5]
    with torch.inference_mode():
        raw = network.eval()(torch.from_numpy(description.input.normalise(rows)))
    wanted = raw.softmax(dim=1) if description.returns == model_pb2.MEANING_LOGITS else raw
    np.testing.assert_allclose(Session(result.path).run(rows), wanted.numpy(), atol=1e-6)


def test_signals_and_regression(repository: Path) -> None:
    generator = np.random.default_rng(5)
    description = ModelDescription(
        input=SignalInput(channels=2, length=16, mean=(0.1, 0.2), standard_deviation=(1.5, 2.0)),
        task=model_pb2.TASK_REGRESSION,
        returns=model_pb2.MEANING_VALUES,
        test=LabelledRows(
            rows=generator.normal(0, 3, (30, 2, 16)).astype(np.float32),
            targets=generator.normal(0, 1, (30, 2)).astype(np.float32),
        ),
    )
    result = export(signal(outputs=2), description, repository, "signal", options=SMALL)
    contract = result.contract
    assert shape_of(contract.inputs[0]) == ("batch", 2, 16)
    assert (contract.outputs[0].name, contract.outputs[0].meaning) == ("values", model_pb2.MEANING_VALUES)
    assert not contract.labels
    assert not contract.HasField("preprocessing")
    assert {"mean_error", "agreement"} <= {check.name for check in result.report.checks}


def test_the_contract_is_whole(exported: ExportResult) -> None:
    contract = read_model_file(exported.path).verify()
    assert contract == exported.contract
    assert tuple(contract.labels) == LABELS
    assert shape_of(contract.inputs[0]) == ("batch", 8, 8, 1)
    assert shape_of(contract.outputs[0]) == ("batch", 3)
    assert list(contract.batching.buckets) == [1, 2, 4, 8]
    assert contract.preprocessing.in_graph.mean[0] == pytest.approx(0.4)
    assert (contract.provenance.opset, contract.provenance.ir_version) == (18, 10)
    assert all(check.ok for check in contract.evidence.checks)
    assert contract.provenance.versions["torch"] == torch.__version__.partition("+")[0]


def test_golden_samples_replay(exported: ExportResult) -> None:
    file = read_model_file(exported.path)
    assert file.golden is not None
    assert file.contract is not None
    preprocessor = Preprocessor.from_message(file.contract.preprocessing)
    session = Session(exported.path)
    assert len(file.golden.samples) == 8
    for sample in file.golden.samples:
        answer = session.run(row_of_sample(sample, preprocessor)[np.newaxis])[0]
        np.testing.assert_allclose(answer, sample.exported_output, atol=1e-6)
        assert sample.label == LABELS[int(answer.argmax())]


def test_large_golden_images_are_scaled_down(repository: Path) -> None:
    network = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(48, 3))
    result = export(
        network, describe((3, 200, 200), rows=3), repository, "large", options=ExportOptions(max_batch_size=2)
    )
    golden = read_model_file(result.path).golden
    assert golden is not None
    assert max(len(sample.encoded_image) for sample in golden.samples) <= 64 * 1024


def test_single_rows_without_data(repository: Path) -> None:
    description = replace(describe((3, 8, 8)), test=None, labels=())
    result = export(colour(), description, repository, "single", options=ExportOptions(max_batch_size=1))
    assert list(result.contract.batching.buckets) == [1]
    assert list(result.contract.labels) == ["0", "1", "2"]
    golden = read_model_file(result.path).golden
    assert golden is not None
    assert golden.synthetic
