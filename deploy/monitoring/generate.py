"""Writes grafana/board.json and prometheus-rule.yaml; with --check says whether they are as they would be written.

The board is a table of panels here, because Grafana's JSON is too long to read; the rule resource for the Prometheus
operator holds what rules.yml holds.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
# Of the series of one server; the variables stand at the top of the board.
MINE = 'job="conveyor",instance=~"$instance"'
MODEL = f'{MINE},model=~"$model"'
NOT_OK = MODEL + ',outcome!="success"'
WINDOW = "[$__rate_interval]"
COLUMNS = 24


@dataclass(frozen=True)
class Panel:
    """One panel: its title, queries by their legends, unit, and width and height in Grafana's grid of 24 columns."""

    title: str
    queries: dict[str, str]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    height: int = 8
    description: str = ""


def rate(metric: str, by: str = "", labels: str = MODEL) -> str:
    """The sum of a counter's increase per second."""
    grouped = f" by ({by})" if by else ""
    return f"sum{grouped} (rate({metric}{{{labels}}}{WINDOW}))"


def quantile(share: float, metric: str) -> str:
    """A percentile of a histogram over all servers shown."""
    return f"histogram_quantile({share}, {rate(f'{metric}_bucket', 'le')})"


def mean(metric: str, by: str = "") -> str:
    """The mean of a histogram over all servers shown."""
    return f"{rate(f'{metric}_sum', by)} / {rate(f'{metric}_count', by)}"


BOARD: dict[str, tuple[Panel, ...]] = {
    "Now": (
        Panel("Servers ready", {"": f"sum(conveyor_server_ready{{{MINE}}})"}, kind="stat", width=4, height=4),
        Panel("Requests", {"": rate("conveyor_requests_total")}, "reqps", "stat", 4, 4),
        Panel("p99", {"": quantile(0.99, "conveyor_request_seconds")}, "s", "stat", 4, 4),
        Panel(
            "Not answered",
            {"": rate("conveyor_requests_total", labels=NOT_OK) + " / " + rate("conveyor_requests_total")},
            "percentunit",
            "stat",
            4,
            4,
            "Share of requests that failed, were refused, came late or were cancelled.",
        ),
        Panel(
            "Fullest queue",
            {"": f"max(conveyor_queue_rows{{{MODEL}}} / conveyor_queue_limit_rows{{{MODEL}}})"},
            "percentunit",
            "stat",
            4,
            4,
        ),
        Panel("Rows", {"": rate("conveyor_rows_total")}, "ops", "stat", 4, 4),
    ),
    "Traffic": (
        Panel("Requests by outcome", {"{{outcome}}": rate("conveyor_requests_total", "outcome")}, "reqps"),
        Panel(
            "Latency in the server",
            {f"p{100 * share:g}": quantile(share, "conveyor_request_seconds") for share in (0.5, 0.95, 0.99)},
            "s",
        ),
        Panel(
            "Where the time goes (means)",
            {name: mean(f"conveyor_{name}_seconds") for name in ("queue", "preprocess", "compute")},
            "s",
        ),
        Panel("Rows by model", {"{{model}} {{version}}": rate("conveyor_rows_total", "model, version")}, "ops"),
        Panel("Calls under way", {"{{instance}}": f"sum by (instance) (conveyor_in_flight_requests{{{MINE}}})"}),
        Panel(
            "Refused at the door",
            {"{{door}}": rate("conveyor_refused_calls_total", "door", MINE)},
            "reqps",
            description="Calls that were refused before they reached a model: no token, another group's, too many.",
        ),
    ),
    "Batches": (
        Panel(
            "Mean rows in a batch",
            {"{{model}}": mean("conveyor_batch_rows", "model")},
        ),
        Panel("Why batches closed", {"{{reason}}": rate("conveyor_batches_total", "reason")}, "ops"),
        Panel(
            "Rows that wait",
            {
                "{{instance}} {{model}}": f"sum by (instance, model) (conveyor_queue_rows{{{MODEL}}})",
                "limit {{model}}": f"max by (model) (conveyor_queue_limit_rows{{{MODEL}}})",
            },
        ),
        Panel(
            "Estimated wait of a newcomer", {"{{instance}} {{model}}": f"conveyor_queue_wait_seconds{{{MODEL}}}"}, "s"
        ),
    ),
    "Models": (
        Panel(
            "Serving",
            {"{{instance}} {{model}} {{version}}": f"conveyor_model_ready{{{MODEL}}}"},
            kind="state-timeline",
        ),
        Panel("Predicted classes", {"{{label}}": rate("conveyor_predictions_total", "label")}, "ops"),
        Panel(
            "Bytes of a model",
            {"{{model}} {{version}}": f"max by (model, version) (conveyor_model_bytes{{{MODEL}}})"},
            "bytes",
        ),
    ),
    "Right answers": (
        Panel(
            "Shift of the input's mean",
            {"{{model}} channel {{channel}}": f"conveyor_input_channel_mean_shift{{{MODEL}}}"},
            description="In standard deviations of the training data.",
        ),
        Panel(
            "Spread of the input",
            {"{{model}} channel {{channel}}": f"conveyor_input_channel_deviation_ratio{{{MODEL}}}"},
            description="Standard deviation of what is served over that of the training data: 1 is no drift.",
        ),
        Panel(
            "Distance from training",
            {
                "classes {{model}}": f"conveyor_class_distance{{{MODEL}}}",
                "confidence {{model}}": f"conveyor_confidence_distance{{{MODEL}}}",
            },
            description="0: as in training; 1: nothing in common.",
        ),
        Panel(
            "Shadow and canary",
            {
                "agreement {{model}} {{version}}": f"conveyor_shadow_agreement_ratio{{{MODEL}}}",
                "canary share {{model}} {{version}}": f"conveyor_canary_share{{{MODEL}}}",
            },
            "percentunit",
        ),
        Panel(
            "Rows run again alone",
            {
                "checked": rate("conveyor_verified_rows_total"),
                "differ": rate("conveyor_verify_mismatches_total"),
            },
            "ops",
        ),
        Panel(
            "Roll-backs in the last hour",
            {"{{model}}: {{reason}}": f"sum by (model, reason) (increase(conveyor_rollbacks_total{{{MODEL}}}[1h]))"},
        ),
    ),
    "Process": (
        Panel("Resident memory", {"{{instance}} {{process}}": f"conveyor_process_resident_bytes{{{MINE}}}"}, "bytes"),
        Panel(
            "Threads and descriptors",
            {
                "threads {{instance}} {{process}}": f"conveyor_process_threads{{{MINE}}}",
                "descriptors {{instance}} {{process}}": f"conveyor_process_open_descriptors{{{MINE}}}",
            },
        ),
        Panel(
            "Workers",
            {
                "{{instance}}": f"conveyor_workers{{{MINE}}}",
                "started again {{instance}}": f"increase(conveyor_worker_restarts_total{{{MINE}}}[1h])",
            },
        ),
    ),
}


def board() -> dict[str, Any]:
    """The board as Grafana reads it."""
    return {
        "uid": "conveyor",
        "title": "Conveyor",
        "tags": ["conveyor"],
        "schemaVersion": 39,
        "editable": False,
        "refresh": "10s",
        "time": {"from": "now-30m", "to": "now"},
        "templating": {
            "list": [_datasource(), _variable("instance", MINE.partition(",")[0]), _variable("model", MINE)]
        },
        "panels": list(_panels()),
    }


def prometheus_rule() -> dict[str, Any]:
    """rules.yml as the Prometheus operator reads it."""
    rules = yaml.safe_load((HERE / "rules.yml").read_text(encoding="utf-8"))
    kind = {"apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule"}
    return {**kind, "metadata": {"name": "conveyor"}, "spec": {"groups": rules["groups"]}}


def _panels() -> Iterator[dict[str, Any]]:
    number, top = 0, 0
    for title, panels in BOARD.items():
        number += 1
        place = {"x": 0, "y": top, "w": COLUMNS, "h": 1}
        yield {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}
        top += 1
        left = 0
        for panel in panels:
            if left + panel.width > COLUMNS:
                left, top = 0, top + panel.height
            number += 1
            place = {"x": left, "y": top, "w": panel.width, "h": panel.height}
            yield _panel(panel, number, place)
            left += panel.width
        top += panels[-1].height


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    targets = [
        {"refId": chr(ord("A") + index), "datasource": SOURCE, "expr": query, "legendFormat": legend or "__auto"}
        for index, (legend, query) in enumerate(panel.queries.items())
    ]
    shown: dict[str, Any] = {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": targets,
    }
    if "shift" in panel.title.lower():
        del shown["fieldConfig"]["defaults"]["min"]
    if panel.kind == "timeseries":
        shown["options"] = {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
        shown["fieldConfig"]["defaults"]["custom"] = {"fillOpacity": 10, "showPoints": "never"}
    return shown


def _datasource() -> dict[str, Any]:
    return {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"}


def _variable(name: str, labels: str) -> dict[str, Any]:
    metric = {"instance": "conveyor_server_ready", "model": "conveyor_model_ready"}[name]
    query = f"label_values({metric}{{{labels}}}, {name})"
    chosen = {"text": "All", "value": "$__all"}
    return {
        "name": name,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": name},
        "includeAll": True,
        "multi": True,
        "refresh": 2,
        "current": chosen,
    }


def main(arguments: list[str]) -> int:
    """Writes both, or with --check compares; 1 when something differs."""
    header = "# Written by generate.py from rules.yml.\n"
    files = {
        HERE / "grafana" / "board.json": json.dumps(board(), indent=1) + "\n",
        HERE / "prometheus-rule.yaml": header + yaml.safe_dump(prometheus_rule(), sort_keys=False, width=110),
    }
    if arguments == ["--check"]:
        old = [path for path, text in files.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
        for path in old:
            sys.stderr.write(f"{path.relative_to(HERE)} is not current; run python deploy/monitoring/generate.py\n")
        return 1 if old else 0
    for path, text in files.items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
