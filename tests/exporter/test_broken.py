"""Networks broken in one way each are refused by the check that should, with a message that names the cause."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from torch import nn

from conveyor_exporter.errors import RejectedError
from conveyor_exporter.exporting import export
from tests.exporter.conftest import SMALL, describe
from tests.exporter.networks import BROKEN, BROKEN_MODULES, Network, plain


def refusal_of(network: nn.Module, repository: Path, tmp_path: Path) -> str:
    """The message with which it is refused, once the rest of the promise has been looked at too."""
    options = replace(SMALL, rejected_dir=tmp_path / "rejected")
    with pytest.raises(RejectedError) as refusal:
        export(network, describe(), repository, "model", options=options)
    assert not repository.exists()
    report = json.loads((tmp_path / "rejected" / "model-1" / "report.json").read_text())
    assert not report["ok"]
    assert next(entry["name"] for entry in report["checks"] if not entry["ok"]) in str(refusal.value)
    return str(refusal.value)


@pytest.mark.parametrize("name", BROKEN)
def test_is_refused(name: str, repository: Path, tmp_path: Path) -> None:
    broken = BROKEN[name]
    message = refusal_of(Network(broken.forward), repository, tmp_path)
    assert f"check {broken.check} failed" in message
    assert broken.word in message


@pytest.mark.parametrize("name", BROKEN_MODULES)
def test_a_broken_module_is_refused(name: str, repository: Path, tmp_path: Path) -> None:
    make, check, word = BROKEN_MODULES[name]
    message = refusal_of(make(), repository, tmp_path)
    assert f"check {check} failed" in message
    assert word in message


def test_an_opset_that_torch_does_not_honour_is_refused(repository: Path) -> None:
    with pytest.raises(RejectedError, match="opset failed: asked for opset 13"):
        export(plain(), describe(), repository, "model", options=replace(SMALL, opset=13))
