"""Networks broken in one way each are refused by the check that should, with a message that names the cause."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from conveyor_exporter.errors import RejectedError
from conveyor_exporter.exporting import export
from tests.exporter.conftest import SMALL, describe
from tests.exporter.networks import BROKEN, Network, plain


@pytest.mark.parametrize("name", BROKEN)
def test_is_refused(name: str, repository: Path, tmp_path: Path) -> None:
    forward, check, word = BROKEN[name]
    options = replace(SMALL, rejected_dir=tmp_path / "rejected")
    with pytest.raises(RejectedError) as refusal:
        export(Network(forward), describe(), repository, "model", options=options)
    assert f"check {check} failed" in str(refusal.value)
    assert word in str(refusal.value)
    assert not repository.exists()
    report = json.loads((tmp_path / "rejected" / "model-1" / "report.json").read_text())
    assert not report["ok"]
    assert check in [entry["name"] for entry in report["checks"] if not entry["ok"]]


def test_an_opset_that_torch_does_not_honour_is_refused(repository: Path) -> None:
    with pytest.raises(RejectedError, match="opset failed: asked for opset 13"):
        export(plain(), describe(), repository, "model", options=replace(SMALL, opset=13))
