"""Finding a network in a user's own file."""

import sys
from pathlib import Path

import pytest

from conveyor_contract.user_code import call_factory, load_named

WITH_DATACLASS = """
from __future__ import annotations
from dataclasses import dataclass

@dataclass
class Network:
    width: int = {width}

def make() -> Network:
    return Network()
"""


def width_of(path: Path) -> int:
    reference = f"{path}:make"
    made = call_factory(load_named(reference), reference)
    return int(vars(made)["width"])


def test_a_file_may_hold_dataclasses_and_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "own_network_of_a_test.py"
    path.write_text(WITH_DATACLASS.format(width=3))
    assert width_of(path) == 3
    path.write_text(WITH_DATACLASS.format(width=44))
    assert width_of(path) == 44
    del sys.modules["own_network_of_a_test"]


def test_a_file_named_like_a_module_in_use_leaves_that_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "json.py"
    path.write_text("def make():\n    return 1\n")
    import json

    monkeypatch.setattr(sys, "path", list(sys.path))
    reference = f"{path}:make"
    assert call_factory(load_named(reference), reference) == 1
    assert sys.modules["json"] is json
