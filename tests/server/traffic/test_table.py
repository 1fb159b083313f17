"""Which version answers, whatever is ready at the moment."""

from collections.abc import Mapping, Sequence

import pytest

from conveyor_server.index import Index
from conveyor_server.model import Model
from conveyor_server.observation import Observation
from conveyor_server.traffic.rule import Rule
from conveyor_server.traffic.state import TrafficState
from conveyor_server.traffic.table import Traffic
from conveyor_server.version_policy import parse_policy
from tests.server.scripted import in_loop
from tests.server.traffic.scripted import version

NAME = "animals"


def table(state: TrafficState) -> Traffic:
    return Traffic(Index(), Observation(None, 0.0), {NAME: state})


def ready(*numbers: int) -> Mapping[int, Model]:
    return {number: version(number).model for number in numbers}


def chosen(traffic: Traffic, *numbers: int) -> int | None:
    model = traffic.choose(NAME, ready(*numbers))
    return None if model is None else model.version


@in_loop
async def test_without_a_rule_the_newest_answers() -> None:
    assert chosen(table(TrafficState()), 1, 3, 2) == 3
    assert chosen(table(TrafficState())) is None


@in_loop
async def test_the_stable_version_answers_though_newer_ones_are_ready() -> None:
    assert chosen(table(TrafficState(rule=Rule(stable=1, shadow=2))), 1, 2, 3) == 1


@in_loop
async def test_only_an_older_version_that_was_not_found_wanting_stands_in_for_the_stable_one() -> None:
    assert chosen(table(TrafficState(rule=Rule(stable=1))), 2, 3) is None
    assert chosen(table(TrafficState(rule=Rule(stable=3, canary=2, canary_share=0.5))), 1, 2) == 1
    assert chosen(table(TrafficState(rule=Rule(stable=3, canary=2, canary_share=0.5))), 2) is None
    assert chosen(table(TrafficState(rule=Rule(stable=3), rejected=(2,))), 1, 2) == 1


@in_loop
async def test_a_trial_begins_once_both_versions_are_ready_and_anew_with_each_file() -> None:
    traffic = table(TrafficState(rule=Rule(stable=1, shadow=2)))
    both = ready(1, 2)
    traffic.choose(NAME, {1: both[1]})
    assert not traffic.trials()
    traffic.choose(NAME, both)
    (first,) = traffic.trials()
    traffic.choose(NAME, both)
    assert list(traffic.trials()) == [first], "another version's change does not end it"
    traffic.choose(NAME, {1: both[1], **ready(2)})
    assert list(traffic.trials()) != [first]
    traffic.choose(NAME, {1: both[1]})
    assert not traffic.trials()


@in_loop
async def test_only_the_ready_versions_are_observed() -> None:
    observation = Observation(None, 0.5)
    traffic = Traffic(Index(), observation, {})
    both = ready(1, 2)
    traffic.choose(NAME, both)
    kept = observation.of(both[2])
    assert kept is both[2].batcher.observer
    traffic.choose(NAME, {2: both[2]})
    assert [observer.model.version for observer in observation] == [2]
    assert observation.of(both[2]) is kept
    assert observation.of(both[1]) is None


@pytest.mark.parametrize(
    ("policy", "kept", "expected"),
    [
        ("latest:1", [], [4]),
        ("latest:1", [1, 2], [4, 2, 1]),
        ("latest:2", [4], [4, 3]),
        ("all", [1], [4, 3, 2, 1]),
        ("specific:2", [3], [3, 2]),
    ],
)
def test_versions_of_a_rule_stay_whatever_the_policy_says(
    policy: str, kept: Sequence[int], expected: Sequence[int]
) -> None:
    keeping = parse_policy(policy).keeping(kept)
    chosen_ones: list[int] = []
    for candidate in keeping.candidates([1, 2, 3, 4]):
        if keeping.wants(candidate, chosen_ones):
            chosen_ones.append(candidate)
    assert chosen_ones == expected
