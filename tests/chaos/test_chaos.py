"""The script's own faults, for a moment each: it finds nothing, and it would find something."""

import asyncio
from pathlib import Path

import pytest

from tests.chaos.answers import RightAnswers
from tests.chaos.faults import FAULTS, Fault
from tests.chaos.scene import Scene, Setting
from tests.chaos.verdict import table_of, try_fault
from tests.counts import count
from tests.server.envoy.conftest import needs

SETTINGS = (Setting(engine="grpcio"), Setting(engine="envoy"), Setting(workers=2), Setting(engine="envoy", workers=2))
PAIRS = [(fault, setting) for fault in FAULTS for setting in SETTINGS]
# One pair of so many is tried, never the same fault twice in a row.
STEP = max(1, len(PAIRS) // count("faults under load"))


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("fault", "setting"),
    [pytest.param(f, s, id=f"{f.name} {s.engine} {s.workers}") for f, s in PAIRS[:: STEP + 1 if STEP > 1 else 1]],
)
def test_a_fault_loses_no_call(fault: Fault, setting: Setting) -> None:
    needs(setting.engine)
    verdict = asyncio.run(try_fault(fault, setting, 0.5))
    if verdict.skipped:
        pytest.skip(verdict.skipped)
    assert verdict.is_good, verdict.in_words
    assert verdict.tally.answered > 0


async def lie(scene: Scene) -> None:
    """The server goes on, but what is right is another matter."""
    scene.right.write(scene.repository, 3)
    scene.right.note(scene.repository / "tiny" / "3" / "model.onnx", 1)
    await asyncio.sleep(0.2)


async def unload_unawares(scene: Scene) -> None:
    """Callers are refused for no reason that they are told of."""
    await scene.unload()
    await scene.callers.until(lambda: scene.callers.tally.refused > 0, "refusals")
    await scene.load()


@pytest.mark.parametrize(("act", "word"), [(lie, "wrong: "), (unload_unawares, "lost: ")])
def test_wrong_and_missing_answers_are_found(act: object, word: str) -> None:
    fault = Fault(name="made up", act=act)  # type: ignore[arg-type]
    verdict = asyncio.run(try_fault(fault, Setting(), 0.2))
    assert not verdict.is_good
    assert word in verdict.in_words
    assert table_of([verdict]).row_count == 1


def test_an_answer_of_a_version_that_never_was_is_a_mistake(tmp_path: Path) -> None:
    right = RightAnswers()
    right.write(tmp_path, 1)
    assert "never there" in str(right.mistake("2", 0, 0, 1.0))
    assert right.mistake("1", 0, 0, -1.0) is not None
