"""What a server still knows of its traffic when it starts again."""

import asyncio
import logging
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from conveyor_server.errors import StartError
from conveyor_server.traffic.memory import TrafficMemory
from conveyor_server.traffic.rule import Limits, Rule
from conveyor_server.traffic.state import TrafficState

CANARY = Rule(stable=1, canary=2, canary_share=0.1, limits=Limits(min_agreement=0.9))
FILE = "sha256:bad"


def begun(path: Path | None, configured: Mapping[str, Rule], file: str = FILE) -> TrafficMemory:
    """A server's start, with this file as each version."""
    return TrafficMemory(path, configured, lambda name, version: file)


def decided(memory: TrafficMemory, state: TrafficState, name: str = "animals") -> None:
    """A decision while it serves."""
    asyncio.run(memory.keep(name, state))


def rolled_back(state: TrafficState) -> TrafficState:
    return state.rolled_back("too few agree", "agreement", 2.0, {2: FILE})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "traffic.json"


@pytest.fixture(autouse=True)
def folder(path: Path) -> None:
    path.parent.mkdir()


def test_without_a_file_each_start_begins_as_configured(path: Path) -> None:
    memory = begun(None, {"animals": CANARY})
    decided(memory, rolled_back(memory.states["animals"]))
    assert begun(None, {"animals": CANARY}).states == {"animals": TrafficState(rule=CANARY, revision=1)}
    assert not path.exists()


@pytest.mark.parametrize("configured", [{"animals": CANARY}, {}], ids=["configured", "set by a caller"])
def test_a_roll_back_is_remembered_with_its_cause(
    path: Path, configured: Mapping[str, Rule], caplog: pytest.LogCaptureFixture
) -> None:
    memory = begun(path, configured)
    state = memory.states.get("animals", TrafficState())
    state = rolled_back(state if state.rule else state.with_rule(CANARY, 1.0))
    decided(memory, state)
    with caplog.at_level(logging.INFO):
        again = begun(path, configured).states["animals"]
    assert again == state
    assert (again.rule, again.rejected, again.rollbacks) == (Rule(stable=1), (2,), {"agreement": 1})
    assert again.decisions[-1].reason == "too few agree"
    assert "model=animals is as it was last decided: stable=1" in caplog.text


def test_what_is_configured_anew_wins_and_the_past_is_kept(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    memory = begun(path, {"animals": CANARY})
    decided(memory, rolled_back(memory.states["animals"]))
    other = Rule(stable=1, shadow=3)
    again = begun(path, {"animals": other}).states["animals"]
    assert (again.rule, again.rejected, again.rollbacks) == (other, (2,), {"agreement": 1})
    assert "model=animals is as configured, which has changed" in caplog.text
    assert begun(path, {"animals": other}).states["animals"] == again
    # And so does none.
    assert begun(path, {}).states["animals"].rule is None


def test_a_mended_file_under_the_same_number_is_tried_again(path: Path) -> None:
    memory = begun(path, {"animals": CANARY})
    decided(memory, rolled_back(memory.states["animals"]))
    assert begun(path, {"animals": CANARY}, file="").states["animals"].rule == Rule(stable=1), "a file that is gone"
    mended = begun(path, {"animals": CANARY}, file="sha256:good").states["animals"]
    assert (mended.rule, mended.rejected) == (CANARY, ())


def test_a_promotion_is_not_tried_again(path: Path) -> None:
    memory = begun(path, {"animals": CANARY})
    decided(memory, memory.states["animals"].promoted(2, 1, 2.0))
    again = begun(path, {"animals": CANARY}, file="sha256:good").states["animals"]
    assert (again.rule, again.previous) == (Rule(stable=2), 1)


def test_servers_that_share_a_file_keep_each_others_models(path: Path) -> None:
    one, other = begun(path, {}), begun(path, {})
    decided(one, TrafficState().with_rule(CANARY, 1.0), "animals")
    decided(other, TrafficState().with_rule(CANARY, 1.0), "plants")
    assert begun(path, {}).states.keys() == {"animals", "plants"}


@pytest.mark.parametrize("content", ["", "{", "[]", '{"models": {}, "schema_version": 2}', '{"models": {"a": 1}}'])
def test_a_file_that_is_no_state_is_a_clear_error_at_the_start(path: Path, content: str) -> None:
    path.write_text(content)
    with pytest.raises(StartError, match="cannot be read .*mend it, or move it away") as caught:
        begun(path, {})
    assert not re.search("validation error|_Book|https:", str(caught.value))
    assert path.read_text() == content


def test_a_folder_that_is_not_there_is_a_clear_error_at_the_start(path: Path) -> None:
    with pytest.raises(StartError, match="cannot be written"):
        begun(path.parent / "absent" / "traffic.json", {})


def test_what_cannot_be_written_later_is_logged_and_holds(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    memory = begun(path, {})
    shutil.rmtree(path.parent)
    decided(memory, TrafficState().with_rule(CANARY, 1.0))
    assert "model=animals was changed, and" in caplog.text
    path.parent.mkdir()
    decided(memory, TrafficState().with_rule(CANARY, 1.0), "plants")
    assert begun(path, {}).states.keys() == {"animals", "plants"}
