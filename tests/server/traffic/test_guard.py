"""When a trial is ended by itself: by all of it, by its last minute, and by requests that were never answered."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from conveyor_server.metrics.family import Family
from conveyor_server.traffic.comparison import Comparison, TrialKey, families_of
from conveyor_server.traffic.guard import Guard
from conveyor_server.traffic.judge import judge
from conveyor_server.traffic.rule import Limits, Rule
from conveyor_server.traffic.state import TrafficState
from conveyor_server.traffic.window import SECONDS, STEP_SECONDS
from tests.server.scripted import Clock, in_loop

LIMITS = Limits(min_agreement=0.9, max_error_share=0.01)
GOOD = Comparison(rows=1e6, agreements=1e6, trial_answered=1e6, stable_answered=1e6)


class Scene:
    """A trial whose sums a test sets, and the guard that looks at it."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.clock = Clock()
        self.seen = GOOD
        self.state = TrafficState(rule=Rule(stable=1, canary=2, canary_share=0.5, limits=limits), revision=1)
        self.guard = Guard(self, lambda: {"animals": self.state}, self.clock)

    async def change_traffic(self, name: str, state: TrafficState) -> None:
        self.state = state

    async def observed(self, name: str) -> Sequence[Family]:
        key = TrialKey(model=name, kind="canary", trial="2", stable="1", revision=str(self.state.revision), files="a/b")
        return families_of({key: self.seen})

    async def pass_by(self, seconds: float, grow: Callable[[Comparison], Comparison]) -> None:
        """Time passes, with a look each STEP_SECONDS, in which the sums grow; until the trial is over."""
        for _ in range(round(seconds / STEP_SECONDS)):
            if self.state.revision == 1:
                self.clock.now += STEP_SECONDS
                self.seen = grow(self.seen)
                await self.guard.look()


def well(seen: Comparison) -> Comparison:
    """A hundred rows more on which both agree."""
    return replace(
        seen,
        rows=seen.rows + 100,
        agreements=seen.agreements + 100,
        trial_answered=seen.trial_answered + 100,
        stable_answered=seen.stable_answered + 100,
    )


def failing(seen: Comparison) -> Comparison:
    """A hundred rows more, of which the version on trial fails all."""
    return replace(seen, trial_failed=seen.trial_failed + 100, stable_answered=seen.stable_answered + 100)


@in_loop
async def test_a_version_that_fails_after_a_good_million_rows_is_rolled_back() -> None:
    scene = Scene()
    await scene.pass_by(2 * SECONDS, well)
    assert not scene.state.rejected
    await scene.pass_by(SECONDS, failing)
    assert list(scene.state.rejected) == [2]
    assert scene.seen.trial_error_share < 0.01
    assert scene.state.decisions[-1].reason.startswith("in the last 60 seconds, with room for chance, ")
    assert scene.state.rollbacks == {"errors": 1}


@in_loop
async def test_answers_that_turn_wrong_after_a_good_million_rows_are_found_out() -> None:
    scene = Scene()
    await scene.pass_by(2 * SECONDS, well)
    await scene.pass_by(SECONDS, lambda seen: replace(well(seen), agreements=seen.agreements))
    assert scene.state.rollbacks == {"agreement": 1}
    assert scene.seen.agreement > 0.99


@in_loop
async def test_a_minute_within_what_chance_does_ends_nothing() -> None:
    scene = Scene(Limits(min_agreement=0.9))
    # 89 of 100 in each minute, and nothing is said by fewer rows than are asked for.
    scene.seen = replace(GOOD)
    await scene.pass_by(
        10 * SECONDS, lambda seen: replace(seen, rows=seen.rows + 100 / 12, agreements=seen.agreements + 89 / 12)
    )
    assert not scene.state.rejected
    await scene.pass_by(2 * SECONDS, lambda seen: replace(seen, rows=seen.rows + 99 / 13))
    assert not scene.state.rejected


@in_loop
async def test_sums_that_begin_anew_are_no_growth() -> None:
    scene = Scene()
    await scene.pass_by(2 * SECONDS, well)
    scene.seen = Comparison()
    await scene.pass_by(2 * SECONDS, well)
    assert not scene.state.rejected


@pytest.mark.parametrize(
    ("trial", "stable", "cause"),
    [
        # (requests, of them lost)
        ((100, 100), (900, 0), "errors"),
        ((100, 30), (900, 9), "errors"),
        ((99, 99), (900, 0), None),
        # Callers of both give up alike, and two by chance.
        ((100, 50), (900, 450), None),
        ((100, 2), (900, 0), None),
    ],
)
def test_requests_that_are_never_answered_speak_against_a_canary(
    trial: tuple[int, int], stable: tuple[int, int], cause: str | None
) -> None:
    seen = Comparison(trial_requests=trial[0], trial_lost=trial[1], stable_requests=stable[0], stable_lost=stable[1])
    verdict = judge(seen, Limits(max_error_share=0.01))
    assert (verdict and verdict.cause) == cause


def test_a_version_that_hangs_is_over_at_once_whatever_the_limit() -> None:
    verdict = judge(Comparison(hanging=1), Limits(max_latency_ratio=2))
    assert verdict is not None
    assert verdict.cause == "errors"
