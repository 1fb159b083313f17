"""The soak itself, for seconds: a server that keeps nothing has nothing left over, and of any other it is found."""

import asyncio
from pathlib import Path

import pytest

from tests.chaos.answers import RightAnswers
from tests.chaos.faults import EXPLICIT
from tests.chaos.scene import Setting
from tests.server.envoy.conftest import needs
from tests.server.process import running
from tests.soak import soaking

# Python's own door for such things: what stands here runs before the server does.
LEAK = """
import os, threading
from conveyor_server.repository import Repository

commit, kept = Repository.commit, []

def leaking(self, candidate):
    {what}
    commit(self, candidate)

Repository.commit = leaking
"""
LEAKS = {
    "a thread for each load": (
        "threading.Thread(target=threading.Event().wait, daemon=True).start()",
        "has more threads than before",
    ),
    "a descriptor for each load": ("kept.append(open(os.devnull))", "descriptors, and had"),
}
# Long enough for each fault once before the first look, and once again after it.
SECONDS = 8.0


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soaking, "MIN_WARM_UP", SECONDS)
    monkeypatch.setattr(soaking, "DISTANCE_SHARE", 0.1)
    monkeypatch.setattr(soaking, "QUIET_SECONDS", 6.0)


def soak(root: Path, setting: Setting, environment: dict[str, str]) -> soaking.Soaked:
    right = RightAnswers()
    right.write(root, 1)
    flags = ("--engine", setting.engine, "--workers", str(setting.workers), *EXPLICIT)
    with running(root, *flags, environment=environment) as server:
        soaked = asyncio.run(soaking.soak(setting, server, root, right, SECONDS))
    assert not soaked.broken
    assert soaked.tally.answered > 0
    assert {"replace_version", "refuse_a_bad_version"} <= {name for _, name in soaked.sampler.events}
    return soaked


@pytest.mark.parametrize(
    "setting",
    [Setting(), Setting(engine="envoy", workers=2)],
    ids=lambda setting: f"{setting.engine} {setting.workers}",
)
def test_a_server_that_keeps_nothing_has_nothing_left_over(tmp_path: Path, setting: Setting) -> None:
    needs(setting.engine)
    soaked = soak(tmp_path, setting, {})
    assert soaked.left_over == []
    assert soaked.tally.examples == []


@pytest.mark.parametrize("leak", LEAKS)
def test_a_leak_is_found(tmp_path: Path, leak: str) -> None:
    what, words = LEAKS[leak]
    code = tmp_path / "code"
    code.mkdir()
    (code / "sitecustomize.py").write_text(LEAK.format(what=what))
    models = tmp_path / "models"
    models.mkdir()
    soaked = soak(models, Setting(), {"PYTHONPATH": str(code)})
    assert any(words in sentence for sentence in soaked.left_over), soaked.left_over
