"""The rules of traffic and the steps that change them."""

import json
from dataclasses import replace

import pytest

from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.traffic.configured import parse_rule, texts_of
from conveyor_server.traffic.rule import Limits, Rule
from conveyor_server.traffic.state import KEPT_DECISIONS, TrafficState, check_follows, state_of_json

SHADOW = Rule(stable=1, shadow=2, limits=Limits(min_agreement=0.9))


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (Rule(stable=1, canary=2, shadow=3), "either a canary or a shadow"),
        (Rule(stable=1, canary=1), "cannot be both stable and on trial"),
        (Rule(stable=1, canary_share=0.5), "needs a canary version"),
        (Rule(stable=1, canary=2, canary_share=1.5), "the canary share is 1.5"),
        (Rule(stable=1, shadow=2, shadow_share=float("nan")), "the shadow share is nan"),
        (Rule(stable=1, shadow=2, limits=Limits(min_agreement=-1)), "the least agreement is -1"),
        (Rule(stable=1, shadow=2, limits=Limits(max_latency_ratio=0)), "latency ratio is 0"),
        (Rule(stable=1, shadow=2, limits=Limits(min_rows=0)), "at least 1"),
        (Rule(stable=1, limits=Limits(min_agreement=0.9)), "limits need a version on trial"),
    ],
)
def test_a_rule_that_contradicts_itself_says_so(rule: Rule, words: str) -> None:
    assert words in (rule.problem() or "")


def test_a_trial_that_is_promoted_can_be_undone() -> None:
    state = TrafficState().with_rule(SHADOW, 1.0).promoted(2, 1, 2.0)
    assert (state.rule, state.previous) == (Rule(stable=2), 1)
    undone = state.rolled_back("it is worse", "asked", 3.0)
    assert (undone.rule, undone.previous, undone.rejected) == (Rule(stable=1), None, (2,))
    assert [decision.step for decision in undone.decisions] == ["set", "promoted", "rolled_back"]
    assert undone.decisions[-1].reason == "it is worse"
    with pytest.raises(ServingError, match="nothing to roll back"):
        undone.rolled_back("", "asked", 4.0)


def test_a_trial_that_is_rolled_back_is_rejected_until_it_is_tried_again() -> None:
    state = TrafficState().with_rule(SHADOW, 1.0).rolled_back("agreement", "agreement", 2.0)
    assert (state.rule, state.rejected, state.rollbacks) == (Rule(stable=1), (2,), {"agreement": 1})
    assert state.decisions[-1].automatic
    assert state.with_rule(SHADOW, 3.0).rejected == ()
    assert state.promoted(2, 1, 3.0).rejected == ()


def test_of_two_changes_at_the_same_moment_one_is_refused() -> None:
    state = TrafficState().with_rule(SHADOW, 1.0)
    one, other = state.rolled_back("", "asked", 2.0), state.promoted(2, 1, 2.0)
    check_follows("digits", one, state)
    with pytest.raises(ServingError, match="changed by another") as error:
        check_follows("digits", other, one)
    assert error.value.kind is ErrorKind.NOT_READY


def test_a_state_crosses_from_process_to_process_as_it_is() -> None:
    state = TrafficState().with_rule(SHADOW, 1.0).rolled_back("too few agree", "agreement", 2.0)
    assert state_of_json(json.loads(json.dumps(state.to_json()))) == state


def test_only_the_last_decisions_are_kept() -> None:
    state = TrafficState()
    for number in range(3 * KEPT_DECISIONS):
        state = state.with_rule(SHADOW, float(number))
    assert len(state.decisions) == KEPT_DECISIONS
    assert state.revision == 3 * KEPT_DECISIONS


def test_a_rule_is_read_from_a_setting() -> None:
    name, rule = parse_rule("digits:stable=1,canary=2,canary-share=0.1,sticky-key=x-user,min-rows=50,min-agreement=0.9")
    expected = Rule(stable=1, canary=2, canary_share=0.1, sticky_key="x-user")
    assert (name, rule) == ("digits", replace(expected, limits=Limits(min_rows=50, min_agreement=0.9)))
    as_yaml = {"digits": {"stable": 1, "shadow": 2, "min_agreement": 0.9}}
    assert [parse_rule(text) for text in texts_of(as_yaml)] == [("digits", SHADOW)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("digits", "expected MODEL:stable=1,shadow=2"),
        ("digits:shadow=2", "names no stable version"),
        ("digits:stable=one", "stable is 'one', and no number"),
        ("digits:stable=1,canary=2,share=0.5", "there is no 'share'"),
        ("digits:stable=1,shadow=1", "cannot be both"),
    ],
)
def test_a_setting_that_is_no_rule_says_what_is_expected(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_rule(text)
