"""The results as files: a page with tables, JSON with every round, and pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from hdrh.histogram import HdrHistogram

from conveyor_bench.compare.figures import Row, Section
from conveyor_bench.machine import describe_machine, describe_versions
from conveyor_bench.plot import plot_percentiles, plot_throughput

CURVES, PERCENTILES = "latency-throughput.svg", "percentiles.svg"


@dataclass(frozen=True, kw_only=True)
class Curves:
    """What is drawn: (requests/s, p99 in ms) points, and latencies in microseconds, by name."""

    throughput: Mapping[str, Sequence[tuple[float, float]]]
    latency: Mapping[str, HdrHistogram]


def write_results(folder: Path, sections: Sequence[Section], method: str, curves: Curves) -> None:
    """Writes README.md, results.json and the pictures; what was there is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    date = datetime.now(UTC).isoformat(timespec="seconds")
    head = {"date": date, "machine": describe_machine(), "versions": describe_versions(), "method": method}
    figures = head | {"sections": [each.as_json() for each in sections]}
    (folder / "results.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    plot_throughput(curves.throughput, "one image a request, 1 to 256 in flight: 99th percentile", folder / CURVES)
    plot_percentiles(curves.latency, "one image a request, 64 in flight", folder / PERCENTILES)
    (folder / "README.md").write_text(_page(date, sections, method), encoding="utf-8")


def table(section: Section) -> str:
    """A section as a Markdown table."""
    others = list(dict.fromkeys(other for row in section.rows for other in row.compared_with))
    images = any(row.images_per_request > 1 for row in section.rows)
    headings = ["", "images/s" if images else "requests/s", "p50, ms", "p99, ms", *(f"of {other}" for other in others)]
    lines = ["| " + " | ".join(headings) + " |", "|---" + "|--:" * (len(headings) - 1) + "|"]
    lines += ["| " + " | ".join(_cells(section, row, others)) + " |" for row in section.rows]
    return "\n".join(lines)


def _cells(section: Section, row: Row, others: list[str]) -> list[str]:
    limited = " *" if any(each.client_limited for each in row.rounds) else ""
    ratios = [f"{section.ratio(row, each):.2f}" if each in row.compared_with else "" for each in others]
    return [row.name, f"{row.rate * row.images_per_request:,.0f}{limited}", _ms(row.p50), _ms(row.p99), *ratios]


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _page(date: str, sections: Sequence[Section], method: str) -> str:
    machine = ", ".join(f"{name} {value}" for name, value in describe_machine().items())
    versions = ", ".join(f"{name} {value}" for name, value in describe_versions().items())
    parts = [
        "# Benchmarks",
        "",
        "Written by `make bench`; do not edit.",
        "",
        f"- date: {date}",
        f"- machine: {machine}",
    ]
    parts += [f"- versions: {versions}", "", method, ""]
    for section in sections:
        parts += [f"## {section.title}", "", section.note, "", table(section), ""]
    if any(each.client_limited for section in sections for row in section.rows for each in row.rounds):
        parts += ["\\* the load generator was at its own limit: the server may be faster than shown.", ""]
    parts += ["## Pictures", "", f"![latency against throughput]({CURVES})", "", f"![percentiles]({PERCENTILES})", ""]
    return "\n".join(parts)
