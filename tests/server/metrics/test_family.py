"""Metrics as data: how they add up, cross between processes and become a page."""

import json
import random
from bisect import bisect_left
from collections.abc import Mapping

import pytest
from prometheus_client.parser import text_string_to_metric_families

from conveyor_server.metrics.exposition import page
from conveyor_server.metrics.family import Distribution, Family, Kind, Merge, Sample, counter, gauge, growing, merged
from conveyor_server.metrics.histogram import SECONDS, Histogram
from conveyor_server.metrics.registry import Metrics
from tests.server.scripted import in_loop


def values(family: Family) -> dict[tuple[tuple[str, str], ...], object]:
    return {tuple(sorted(sample.labels.items())): sample.value for sample in family.samples}


def one(value: float, **labels: str) -> list[Sample]:
    return [Sample(labels=labels, value=value)]


@pytest.mark.parametrize(("merge", "expected"), [(Merge.SUM, 5.0), (Merge.MAX, 3.0), (Merge.MIN, 2.0)])
def test_samples_with_the_same_labels_become_one(merge: Merge, expected: float) -> None:
    [family] = merged(
        [gauge("g", "Help.", one(2.0, model="a"), merge), gauge("g", "Help.", one(3.0, model="a"), merge)]
    )
    assert values(family) == {(("model", "a"),): expected}


def test_samples_with_other_labels_stay_apart_whatever_their_order() -> None:
    first = counter("c_total", "Help.", [Sample(labels={"a": "1", "b": "2"}, value=1)])
    second = counter("c_total", "Help.", [Sample(labels={"b": "2", "a": "1"}, value=1), *one(1, a="2", b="1")])
    [family] = merged([first, second])
    assert values(family) == {(("a", "1"), ("b", "2")): 2, (("a", "2"), ("b", "1")): 1}


def test_histograms_of_several_workers_are_the_histogram_of_all_that_they_saw() -> None:
    generator = random.Random(3)
    seen = [[generator.expovariate(100) for _ in range(200)] for _ in range(3)]
    families = []
    for observations in seen:
        histogram = Histogram(SECONDS)
        for value in observations:
            histogram.observe(value)
        samples = [Sample(labels={}, value=histogram.distribution())]
        families.append(Family(name="h", kind=Kind.HISTOGRAM, help="Help.", samples=samples))
    [family] = merged(families)
    [sample] = family.samples
    assert isinstance(sample.value, Distribution)
    counts = [0] * (len(SECONDS) + 1)
    for value in (value for observations in seen for value in observations):
        counts[bisect_left(SECONDS, value)] += 1
    assert list(sample.value.counts) == counts
    assert sample.value.total == pytest.approx(sum(map(sum, seen)))


def test_a_value_on_a_bound_belongs_under_it() -> None:
    histogram = Histogram((1.0, 2.0))
    for value in (1.0, 2.0, 2.1):
        histogram.observe(value)
    assert histogram.counts == [1, 1, 1]


def test_histograms_with_other_bounds_are_not_added_up() -> None:
    families = [
        Family(
            name="h",
            kind=Kind.HISTOGRAM,
            help="Help.",
            samples=[Sample(labels={}, value=Distribution(bounds=bounds, counts=(0, 0), total=0.0))],
        )
        for bounds in ((1.0,), (2.0,))
    ]
    with pytest.raises(ValueError, match="different bounds"):
        merged(families)


def test_a_family_is_the_same_after_a_journey_as_json() -> None:
    histogram = Histogram((0.5, 1.0))
    histogram.observe(0.7)
    samples = [Sample(labels={"model": 'naïve "1"\n'}, value=histogram.distribution())]
    family = Family(name="h", kind=Kind.HISTOGRAM, help="Help.", samples=samples, merge=Merge.SUM, internal=True)
    back = Family.from_json(json.loads(json.dumps(family.to_json())))
    assert back.to_json() == family.to_json()
    assert merged([family, back])[0].samples[0].value == Distribution(bounds=(0.5, 1.0), counts=[0, 2, 0], total=1.4)


def test_of_a_worker_that_has_ended_only_stays_what_grows() -> None:
    grows, falls = counter("c_total", "Help.", one(1)), gauge("g", "Help.", one(1))
    assert growing([grows, falls]) == [grows]


def test_the_page_says_what_the_families_say_labels_of_any_kind_included() -> None:
    label = 'a "quoted" \\ name\nof two lines, ü'
    histogram = Histogram((0.00005, 1.0))
    for value in (0.00001, 0.5, 7.0):
        histogram.observe(value)
    families = [
        counter("c_total", "Help.", one(3, model=label)),
        Family(name="u", kind=Kind.UNKNOWN, help="Help.", samples=one(4)),
        Family(
            name="h",
            kind=Kind.HISTOGRAM,
            help="Help.",
            samples=[Sample(labels={"model": "m"}, value=histogram.distribution())],
        ),
    ]
    content, _ = page(families, "")
    read = {family.name: family for family in text_string_to_metric_families(content.decode())}
    assert [(s.name, s.labels, s.value) for s in read["c"].samples] == [("c_total", {"model": label}, 3.0)]
    assert read["u"].samples[0].value == 4.0
    buckets = {s.labels["le"]: s.value for s in read["h"].samples if s.name == "h_bucket"}
    assert buckets == {"5e-05": 1.0, "1.0": 2.0, "+Inf": 3.0}
    assert {s.name: s.value for s in read["h"].samples if "le" not in s.labels} == {"h_count": 3.0, "h_sum": 7.50001}


class Rows:
    """A source of two sums, of which a derivation makes a ratio."""

    def __init__(self, agreed: float, rows: float) -> None:
        self._agreed, self._rows = agreed, rows

    def families(self) -> list[Family]:
        hidden = Family(name="agreed", kind=Kind.COUNTER, help="Help.", samples=one(self._agreed), internal=True)
        return [hidden, counter("rows_total", "Help.", one(self._rows))]


class Ratio:
    """The derivation."""

    def families(self, sums: Mapping[str, Family]) -> list[Family]:
        [agreed], [rows] = sums["agreed"].samples, sums["rows_total"].samples
        assert isinstance(agreed.value, float)
        assert isinstance(rows.value, float)
        return [gauge("ratio", "Help.", one(agreed.value / rows.value))]


@in_loop
async def test_a_ratio_is_derived_from_the_sums_of_all_workers_which_are_not_shown() -> None:
    workers = [Metrics([Rows(1.0, 10.0)]), Metrics([Rows(29.0, 30.0)])]

    async def everywhere() -> list[Family]:
        return [family for worker in workers for family in worker.snapshot()]

    families = await Metrics([], [Ratio()], everywhere).collect()
    assert {family.name: values(family)[()] for family in families} == {"rows_total": 40.0, "ratio": 0.75}
