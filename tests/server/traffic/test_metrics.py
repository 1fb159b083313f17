"""What the page says of a trial: no ratio of nothing."""

from collections.abc import Mapping

from conveyor_server.index import Index
from conveyor_server.metrics.family import Family, Value
from conveyor_server.observation import Observation
from conveyor_server.traffic.comparison import Comparison, TrialKey, families_of
from conveyor_server.traffic.metrics import TrialMetrics
from conveyor_server.traffic.state import TrafficState
from conveyor_server.traffic.table import Traffic

KEY = TrialKey(model="animals", kind="shadow", trial="2", stable="1", revision="1", files="a/b")
TRAFFIC = Traffic(Index(), Observation(None, 0.0), {"animals": TrafficState(revision=1)})
RATIOS = {"conveyor_shadow_agreement_ratio", "conveyor_shadow_confidence_shift", "conveyor_shadow_latency_ratio"}


def shown(comparison: Comparison) -> Mapping[str, Value]:
    """The one sample of each metric that has one."""
    sums: dict[str, Family] = {family.name: family for family in families_of({KEY: comparison})}
    return {family.name: each.value for family in TrialMetrics(TRAFFIC).families(sums) for each in family.samples}


def test_before_anything_was_compared_there_are_rows_and_no_ratios() -> None:
    idle = shown(Comparison(dropped=7))
    assert (idle["conveyor_shadow_rows_total"], idle["conveyor_shadow_dropped_total"]) == (0, 7)
    assert not RATIOS & idle.keys()


def test_rows_that_all_disagree_have_a_ratio_of_zero() -> None:
    wrong = shown(Comparison(rows=5, stable_seconds=1.0, trial_seconds=2.0))
    assert wrong["conveyor_shadow_agreement_ratio"] == 0.0
    assert wrong["conveyor_shadow_latency_ratio"] == 2.0
