"""What export promises beside right answers: equal bytes, no traces, module and repository left as they were."""

import copy
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
import torch

from conveyor_exporter.errors import ExportError, RejectedError
from conveyor_exporter.exporting import export
from conveyor_exporter.onnx_graph import paths_in
from conveyor_exporter.publishing import ExportResult
from conveyor_exporter.session import Session
from tests.exporter.conftest import SMALL, describe
from tests.exporter.networks import BROKEN, Network, plain

ROOT = Path(__file__).parents[2]
ELSEWHERE = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.exporter.conftest import SMALL, describe
from tests.exporter.networks import plain
from conveyor_exporter.exporting import export
export(plain(), describe(), Path("models"), "plain", options=SMALL)
"""


def test_another_folder_and_process_give_equal_bytes(exported: ExportResult, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", ELSEWHERE, str(ROOT)], cwd=tmp_path, check=True, timeout=120)
    assert (tmp_path / "models/plain/1/model.onnx").read_bytes() == exported.path.read_bytes()


def test_no_path_is_inside(exported: ExportResult) -> None:
    content = exported.path.read_bytes()
    for trace in (str(ROOT), sys.prefix, str(exported.path.parents[2]), "site-packages", ".py"):
        assert trace.encode() not in content
    assert not paths_in(onnx.load(str(exported.path)))


def test_it_is_one_file_beside_its_report(exported: ExportResult) -> None:
    assert sorted(entry.name for entry in exported.path.parent.iterdir()) == ["model.onnx", "report.json"]
    report = json.loads((exported.path.parent / "report.json").read_text())
    assert report["ok"]
    assert report["file_digest"] == exported.report.file_digest
    assert {"name", "ok", "detail", "figures"} == set(report["checks"][0])
    assert report["seconds"]["convert"] > 0


def test_parity_is_within_a_millionth(exported: ExportResult) -> None:
    figures = {check.name: check.figures for check in exported.report.checks}
    assert figures["parity_noise"]["max_difference"] < 1e-6
    assert figures["parity_real"]["max_difference"] < 1e-6


def test_the_callers_module_is_left_as_it_was(repository: Path) -> None:
    network = plain().double()
    network.train()
    layers = list(network.children())
    layers[0].eval()
    layers[4].requires_grad_(False)
    network(torch.ones(2, 1, 8, 8, dtype=torch.float64)).sum().backward()
    before = copy.deepcopy(network)  # copies no gradients
    gradients = [None if each.grad is None else each.grad.clone() for each in network.parameters()]
    export(network, describe(), repository, "plain", options=SMALL)
    for (name, ours), (_, old) in zip(network.named_modules(), before.named_modules(), strict=True):
        assert ours.training == old.training, name
    for (name, parameter), (_, old) in zip(network.named_parameters(), before.named_parameters(), strict=True):
        assert torch.equal(parameter, old), name
        assert (parameter.dtype, parameter.requires_grad) == (old.dtype, old.requires_grad), name
    for parameter, gradient in zip(network.parameters(), gradients, strict=True):
        assert (parameter.grad is None and gradient is None) or torch.equal(parameter.grad, gradient)  # type: ignore[arg-type]  # both or none


def test_a_refused_network_leaves_the_repository_as_it_was(exported: ExportResult, tmp_path: Path) -> None:
    repository = exported.path.parents[2]
    before = sorted(repository.rglob("*"))
    options = replace(SMALL, rejected_dir=tmp_path / "rejected")
    for name in ("view(2, -1)", "functional dropout"):  # the second finds the first one's remains
        with pytest.raises(RejectedError, match="the file and its report are in"):
            export(Network(BROKEN[name].forward), describe(), repository, "plain", options=options)
    assert sorted(repository.rglob("*")) == before
    assert Session(tmp_path / "rejected/plain-2/model.onnx").outputs == ("probabilities",)
    assert "conveyor.contract" not in {entry.key for entry in _metadata(tmp_path / "rejected/plain-2/model.onnx")}


def _metadata(path: Path) -> list[onnx.StringStringEntryProto]:
    return list(onnx.load(str(path)).metadata_props)


def test_a_module_that_cannot_be_copied_is_an_error(repository: Path) -> None:
    network = plain()
    network.kept = torch.ones(1, requires_grad=True) * 2  # a result with history cannot be copied
    with pytest.raises(ExportError, match="cannot be copied"):
        export(network, describe(), repository, "plain", options=SMALL)
