"""What is compared, what follows from it, and when a trial has to end."""

import json
from dataclasses import replace

import numpy as np
import pytest

from conveyor_server.index import Index
from conveyor_server.metrics.family import Family, merged
from conveyor_server.observation import Observation
from conveyor_server.traffic.comparison import Comparison, TrialKey, comparisons_of, families_of
from conveyor_server.traffic.judge import judge
from conveyor_server.traffic.likeness import Likeness, why_not_comparable
from conveyor_server.traffic.metrics import TrialMetrics
from conveyor_server.traffic.rule import Limits
from conveyor_server.traffic.state import TrafficState
from conveyor_server.traffic.table import Traffic
from tests.server.scripted import in_loop
from tests.server.traffic.scripted import rows, version

KEY = TrialKey(model="animals", kind="shadow", trial="2", stable="1", revision="1", files="a/b")


@in_loop
async def test_versions_agree_by_label_wherever_the_label_stands() -> None:
    likeness = Likeness(version(1).model, version(2, ("dog", "cat", "hen")).model)
    comparison = Comparison()
    assert likeness.add(comparison, rows(0, 1, 2), rows(1, 0, 2)) == 0
    assert (comparison.agreement, comparison.max_difference) == (1.0, 0.0)
    # By their columns these two would agree.
    assert likeness.add(comparison, rows(0), rows(0)) == 1
    assert comparison.agreement == 0.75


@in_loop
async def test_regression_agrees_within_a_hundredth() -> None:
    likeness = Likeness(version(1, ()).model, version(2, ()).model)
    comparison = Comparison()
    stable = np.array([[100.0], [100.0]], np.float32)
    assert likeness.add(comparison, stable, np.array([[100.5], [102.0]], np.float32)) == 1
    assert comparison.mean_difference == pytest.approx(1.25)
    assert comparison.max_difference == pytest.approx(2.0)
    assert comparison.relative_difference == pytest.approx(0.0125)


@in_loop
async def test_an_answer_that_is_no_number_disagrees_and_spoils_no_sum() -> None:
    likeness = Likeness(version(1, ()).model, version(2, ()).model)
    comparison = Comparison()
    assert likeness.add(comparison, np.ones((1, 1), np.float32), np.full((1, 1), np.nan, np.float32)) == 1
    assert (comparison.rows, comparison.mean_difference) == (1, 0.0)


@in_loop
async def test_a_callers_own_nan_is_held_against_nobody() -> None:
    likeness = Likeness(version(1).model, version(2).model)
    comparison = Comparison()
    nothing = np.full((1, 3), np.nan, np.float32)
    assert likeness.add(comparison, np.concatenate([rows(0, 1), nothing]), np.concatenate([rows(0, 1), nothing])) == 0
    assert (comparison.rows, comparison.agreements, comparison.not_finite) == (2, 2, 1)
    assert likeness.add(comparison, nothing, rows(0)) == 0
    # All of a version's numbers are gone: the first column is no label of its choice.
    assert likeness.add(comparison, rows(0), nothing) == 1
    assert (comparison.rows, comparison.agreements, comparison.not_finite) == (3, 2, 3)
    assert (comparison.stable_confidence, comparison.trial_confidence) == (2.0, 2.0)


@in_loop
async def test_versions_that_cannot_take_the_same_rows_are_not_compared() -> None:
    stable = version(1)
    assert why_not_comparable(stable.model, version(2).model) is None
    assert "labels" in (why_not_comparable(stable.model, version(2, ()).model) or "")


def test_sums_of_several_workers_add_up_and_the_largest_stays() -> None:
    one = Comparison(rows=10, agreements=9, difference=1.0, values=30, max_difference=0.5)
    other = Comparison(rows=30, agreements=27, difference=3.0, values=90, max_difference=0.25)
    crossed = [
        Family.from_json(json.loads(json.dumps(family.to_json())))
        for each in (one, other)
        for family in families_of({KEY: each})
    ]
    expected = Comparison(rows=40, agreements=36, difference=4.0, values=120, max_difference=0.5)
    assert comparisons_of(merged(crossed)) == {KEY: expected}


@pytest.mark.parametrize(("revision", "shown"), [(1, [0.99]), (2, [0.4]), (3, [])])
def test_what_is_left_of_a_trial_that_is_over_is_not_shown(revision: int, shown: list[float]) -> None:
    before, now = Comparison(rows=100, agreements=99), Comparison(rows=100, agreements=40)
    families = families_of({KEY: before, replace(KEY, revision="2"): now})
    traffic = Traffic(Index(), Observation(None, 0.0), {"animals": TrafficState(revision=revision)})
    derived = TrialMetrics(traffic).families({family.name: family for family in families})
    (agreement,) = [family for family in derived if family.name == "conveyor_shadow_agreement_ratio"]
    assert [sample.value for sample in agreement.samples] == shown


@pytest.mark.parametrize(
    ("comparison", "limits", "cause"),
    [
        (Comparison(rows=99, agreements=0), Limits(min_agreement=0.9), None),
        (Comparison(rows=100, agreements=90), Limits(min_agreement=0.9), None),
        (Comparison(rows=100, agreements=89), Limits(min_agreement=0.9), "agreement"),
        (Comparison(rows=100, agreements=0), Limits(max_latency_ratio=2), None),
        (Comparison(rows=100, trial_seconds=3, stable_seconds=1), Limits(max_latency_ratio=2), "latency"),
        (Comparison(trial_failed=100), Limits(min_agreement=0.9, max_error_share=0.1), "errors"),
        (
            Comparison(trial_failed=50, trial_answered=50, stable_failed=50, stable_answered=50, rows=50),
            Limits(max_error_share=0.1),
            None,
        ),
        (Comparison(rows=100, agreements=100), Limits(), None),
    ],
)
def test_a_trial_ends_when_enough_rows_are_over_a_limit(
    comparison: Comparison, limits: Limits, cause: str | None
) -> None:
    verdict = judge(comparison, limits)
    assert (verdict and verdict.cause) == cause
    if verdict is not None:
        assert "limit" in verdict.reason
