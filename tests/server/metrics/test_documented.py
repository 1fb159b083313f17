"""docs/metrics.md and the page of a real server say the same, and Prometheus's own tools take the page."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import get_args

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from conveyor_server.statistics import Closing
from conveyor_server.traffic.state import Cause
from tests.server.http.asking import ask
from tests.server.metrics.pages import Metric, Page
from tests.server.process import ServerProcess
from tests.server.test_lifecycle import REQUEST

DOCUMENT = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text()
ROW = re.compile(
    r"^\| `([a-z0-9_]+)` \| (counter|gauge|histogram|untyped) \| ([^|]*)\| ([^|]+)\| ([^|]+)\|$", re.MULTILINE
)
# Sections whose metrics are of a model and version; the others name all labels in their tables.
OF_MODELS = ("Requests and batches", "Triton's names")


def documented() -> dict[str, tuple[str, frozenset[str]]]:
    """Kind and labels of each metric, as the tables say."""
    found: dict[str, tuple[str, frozenset[str]]] = {}
    for section in re.split(r"^## ", DOCUMENT, flags=re.MULTILINE):
        shared = {"model", "version"} if section.startswith(OF_MODELS) else set()
        for name, kind, labels, _, _ in ROW.findall(section):
            assert name not in found, f"{name} stands there twice"
            found[name] = (kind, frozenset(shared | set(re.findall(r"`(\w+)`", labels))))
    return found


@pytest.fixture(scope="module")
def page(server: ServerProcess) -> Page:
    """The page of a server that has answered something."""
    server.stub.Classify(REQUEST, timeout=10)
    return Page(server)


def test_the_document_has_every_metric_and_no_other(page: Page) -> None:
    assert {name: kind for name, (kind, _) in documented().items()} == {
        name: metric.kind for name, metric in page.metrics.items()
    }


def test_the_document_names_the_labels(page: Page) -> None:
    tables = documented()
    wrong = {
        name: metric.labels
        for name, metric in page.metrics.items()
        if metric.labels is not None and metric.labels != tables[name][1]
    }
    assert not wrong


def test_the_document_names_each_reason_and_outcome(page: Page) -> None:
    reasons = set(re.findall(r"^\| `([a-z_]+)` \| [^|]+\|$", DOCUMENT, re.MULTILINE))
    assert reasons - {"reason"} == {closing.value for closing in Closing}
    [paragraph] = [part for part in DOCUMENT.split("\n\n") if part.startswith("`outcome` is")]
    shown = set(re.findall(r'conveyor_requests_total\{.*outcome="(\w+)"', page.text))
    assert set(re.findall(r"`([a-z_]+)`", paragraph)) - {"outcome"} == shown


def test_roll_backs_of_each_reason_are_counted_from_zero(page: Page) -> None:
    assert {page.value("conveyor_rollbacks_total", model="tiny", reason=cause) for cause in get_args(Cause)} == {0}


def test_every_metric_has_a_sentence_of_help(page: Page) -> None:
    assert not [name for name, metric in page.metrics.items() if not is_sentence(metric)]


def is_sentence(metric: Metric) -> bool:
    """Whether the help begins and ends like one."""
    return bool(re.fullmatch(r"[A-Z0-9].*\.", metric.help))


def test_prometheus_finds_no_fault_with_our_metrics(page: Page) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed; on Debian it comes with the package prometheus")
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=page.text, capture_output=True, text=True, timeout=60, check=False
    )
    # Triton's names break the rules, and cannot be changed.
    complaints = [line for line in checked.stderr.splitlines() if not line.startswith("nv_inference_")]
    assert not complaints
    assert checked.returncode in (0, 3), "the page cannot be read"


def test_a_scraper_that_asks_for_openmetrics_gets_it(server: ServerProcess) -> None:
    answer = ask(server.http_address, "/metrics", accept="application/openmetrics-text; version=1.0.0")
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.text.endswith("# EOF\n")
    names = {family.name for family in parse_openmetrics(answer.text)}  # type: ignore[no-untyped-call]
    assert {"conveyor_requests", "conveyor_request_seconds", "nv_inference_count"} <= names
