"""What is scraped, drawn, scaled on and alerted on is what the server counts: names, queries and values."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

from conveyor_client import Client
from tests.deploy.manifests import DEPLOY
from tests.deploy.prometheus import MONITORING, needs_prometheus, needs_promtool, scraping
from tests.models import write_tiny_model
from tests.server.process import ServerProcess, running

NAME = re.compile(r"\bconveyor_[a-z_]+")
# Panels that stay empty while nothing of their kind has happened or been asked for.
NEED_MORE = {"Shadow and canary", "Rows run again alone"}
# And those of a model whose file holds statistics of its training, which the small one here has not.
NEED_MORE |= {"Predicted classes", "Distance from training", "Shift of the input's mean", "Spread of the input"}
ROWS = 32


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("models")
    write_tiny_model(folder)
    with running(folder) as started:
        yield started


def alerts() -> dict[str, str]:
    """Every alert's expression."""
    groups = yaml.safe_load((MONITORING / "rules.yml").read_text(encoding="utf-8"))["groups"]
    return {rule["alert"]: rule["expr"] for group in groups for rule in group["rules"]}


def panels() -> list[tuple[str, str]]:
    """The title and the query of everything that the board draws."""
    board = json.loads((MONITORING / "grafana" / "board.json").read_text(encoding="utf-8"))
    return [(panel["title"], target["expr"]) for panel in board["panels"] for target in panel.get("targets", [])]


def variables() -> list[str]:
    board = json.loads((MONITORING / "grafana" / "board.json").read_text(encoding="utf-8"))
    return [each["query"]["query"] for each in board["templating"]["list"] if each["type"] == "query"]


def adapter_rules() -> dict[str, dict[str, str]]:
    """What the adapter answers for each metric of the autoscaler."""
    rules = yaml.safe_load((MONITORING / "adapter-rules.yaml").read_text(encoding="utf-8"))
    return {rule["name"]["as"]: rule for rule in rules}


def scaled_on() -> set[str]:
    scaler = yaml.safe_load((MONITORING / "autoscaler.yaml").read_text(encoding="utf-8"))
    return {each["pods"]["metric"]["name"] for each in scaler["spec"]["metrics"]}


def test_what_is_generated_is_current() -> None:
    script = MONITORING / "generate.py"
    done = subprocess.run([sys.executable, script, "--check"], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_metric_that_is_named_is_counted(server: ServerProcess) -> None:
    with urllib.request.urlopen(f"http://{server.http_address}/metrics", timeout=10) as answer:
        page = answer.read().decode()
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", page, re.MULTILINE))
    counted = set(kinds)
    counted |= {
        f"{n}_{part}" for n, kind in kinds.items() if kind == "histogram" for part in ("bucket", "sum", "count")
    }
    asked = {name for _, query in panels() for name in NAME.findall(query)}
    asked |= {name for query in variables() for name in NAME.findall(query)}
    asked |= {name for query in alerts().values() for name in NAME.findall(query)}
    asked |= {name for rule in adapter_rules().values() for name in NAME.findall(rule["seriesQuery"])}
    assert len(asked) > 30
    assert asked - counted == set()


def test_the_autoscaler_asks_for_what_the_adapter_answers() -> None:
    assert scaled_on() <= adapter_rules().keys()
    assert {"conveyor_queue_rows", "conveyor_rows_per_second"} == adapter_rules().keys()


def test_the_runbook_has_every_alert() -> None:
    runbook = (DEPLOY / "README.md").read_text(encoding="utf-8")
    assert [name for name in alerts() if f"`{name}`" not in runbook] == []


@needs_promtool
@pytest.mark.parametrize(
    "command",
    [("check", "rules", "rules.yml"), ("check", "config", "prometheus.yml"), ("test", "rules", "rules.test.yml")],
    ids=" ".join,
)
def test_promtool_agrees(command: tuple[str, ...]) -> None:
    done = subprocess.run(["promtool", *command], check=False, cwd=MONITORING, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_roll_backs_are_tried_with_the_series_that_the_server_has(server: ServerProcess) -> None:
    with urllib.request.urlopen(f"http://{server.http_address}/metrics", timeout=10) as answer:
        page = answer.read().decode()
    series = re.compile(r'conveyor_rollbacks_total\{.*model="(?:tiny|digits)".*reason="(\w+)"\}')
    tried = (MONITORING / "rules.test.yml").read_text(encoding="utf-8")
    assert sorted(series.findall(page)) == sorted(series.findall(tried))


@needs_promtool
def test_every_alert_has_a_test() -> None:
    tests = yaml.safe_load((MONITORING / "rules.test.yml").read_text(encoding="utf-8"))["tests"]
    fired = {each["alertname"] for group in tests for each in group["alert_rule_test"] if each.get("exp_alerts")}
    assert fired == alerts().keys()


class Load:
    """Callers that keep the server busy until told to stop; `rows` is what they had answered."""

    def __init__(self, address: str) -> None:
        self.rows = 0
        self._address = address
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._callers = [threading.Thread(target=self._call) for _ in range(6)]

    def __enter__(self) -> Load:
        for each in self._callers:
            each.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        for each in self._callers:
            each.join()

    def _call(self) -> None:
        images = [np.full((8, 8, 1), value, np.uint8) for value in range(ROWS)]
        with Client(self._address) as client:
            while not self._stop.is_set():
                answered = len(client.classify_many(images, model="tiny"))
                with self._lock:
                    self.rows += answered


def as_the_adapter_asks(rule: dict[str, str]) -> str:
    """The query that the Prometheus adapter makes of a rule for one pod."""
    filled = {
        "<<.Series>>": NAME.findall(rule["seriesQuery"])[0],
        "<<.LabelMatchers>>": 'namespace="conveyor",pod=~"conveyor-0"',
        "<<.GroupBy>>": "pod",
    }
    query = rule["metricsQuery"]
    for placeholder, value in filled.items():
        query = query.replace(placeholder, value)
    return query


@needs_prometheus
def test_a_real_prometheus_sees_the_load(server: ServerProcess, tmp_path: Path) -> None:
    asked = {name: as_the_adapter_asks(rule) for name, rule in adapter_rules().items()}
    with scraping(tmp_path, server.http_address, namespace="conveyor", pod="conveyor-0") as prometheus:
        with Load(server.address) as load:
            prometheus.wait_until("count_over_time(conveyor_rows_total[1m]) >= 10")
            [raw] = prometheus.query("conveyor_queue_rows[1m]")
            samples = [float(value) for _, value in raw["values"]]
            waiting = prometheus.value(asked["conveyor_queue_rows"])
            assert 0 < waiting <= max(samples)
            assert waiting == pytest.approx(np.mean(samples), rel=0.5)
        prometheus.wait_until(f"sum(conveyor_rows_total) == {load.rows}")
        # Over its window of two minutes, all that was answered; Prometheus guesses what lies beyond the samples.
        assert 120 * prometheus.value(asked["conveyor_rows_per_second"]) == pytest.approx(load.rows, rel=0.3)

        board = [(title, drawable(query)) for title, query in panels()]
        empty = {title for title, query in board if not prometheus.query(query)}
        assert empty <= NEED_MORE
        rules = [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]
        assert {rule["name"] for rule in rules} == alerts().keys()
        assert {rule["name"]: rule.get("lastError") for rule in rules if rule["health"] == "err"} == {}
        assert [alert for alert in prometheus.get("alerts")["alerts"] if alert["state"] == "firing"] == []


def drawable(query: str) -> str:
    """A panel's query as Grafana sends it, everything chosen."""
    return query.replace("$__rate_interval", "30s").replace("$instance", ".*").replace("$model", ".*")
