"""The results as files: a page with tables, JSON with every round, and pictures."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
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


def write_results(
    folder: Path, command: str, sections: Sequence[Section], method: str, curves: Curves | None = None
) -> None:
    """Writes README.md, results.json and the pictures, where there are any; what was there is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    date = datetime.now(UTC).isoformat(timespec="seconds")
    head = {"date": date, "machine": describe_machine(), "versions": describe_versions(), "method": method}
    figures = head | {"sections": [each.as_json() for each in sections]}
    (folder / "results.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    page = _page(date, command, sections, method)
    if curves is not None:
        plot_throughput(curves.throughput, "one image a request, 1 to 256 in flight: 99th percentile", folder / CURVES)
        plot_percentiles(curves.latency, "one image a request, 64 in flight", folder / PERCENTILES)
        page += f"## Pictures\n\n![latency against throughput]({CURVES})\n\n![percentiles]({PERCENTILES})\n"
    (folder / "README.md").write_text(page, encoding="utf-8")


def table(section: Section) -> str:
    """A section as a Markdown table."""
    others = list(dict.fromkeys(other for row in section.rows for other in row.compared_with))
    images = any(row.images_per_request > 1 for row in section.rows)
    columns: list[tuple[str, Callable[[Row], str]]] = [
        ("", lambda row: row.name),
        ("images/s" if images else "requests/s", _rate),
        ("p50, ms", lambda row: _number(row.p50)),
        ("p99, ms", lambda row: _number(row.p99)),
    ]
    if any(row.memory is not None for row in section.rows):
        columns.append(("memory, MB", lambda row: _number(row.memory, 0)))
    if any(row.start is not None for row in section.rows):
        columns.append(("start, s", lambda row: _number(row.start)))
    columns += [(f"of {other}", partial(_ratio, section, other)) for other in others]
    lines = ["| " + " | ".join(heading for heading, _ in columns) + " |", "|---" + "|--:" * (len(columns) - 1) + "|"]
    lines += ["| " + " | ".join(cell(row) for _, cell in columns) + " |" for row in section.rows]
    return "\n".join(lines)


def _rate(row: Row) -> str:
    limited = " *" if any(each.client_limited for each in row.rounds) else ""
    return f"{row.rate * row.images_per_request:,.0f}{limited}"


def _ratio(section: Section, other: str, row: Row) -> str:
    return f"{section.ratio(row, other):.2f}" if other in row.compared_with else ""


def _number(value: float | None, digits: int = 2) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _page(date: str, command: str, sections: Sequence[Section], method: str) -> str:
    machine = ", ".join(f"{name} {value}" for name, value in describe_machine().items())
    versions = ", ".join(f"{name} {value}" for name, value in describe_versions().items())
    parts = [
        "# Benchmarks",
        "",
        f"Written by `{command}`; do not edit.",
        "",
        f"- date: {date}",
        f"- machine: {machine}",
    ]
    parts += [f"- versions: {versions}", "", method, ""]
    for section in sections:
        parts += [f"## {section.title}", "", section.note, "", table(section), ""]
    if any(each.client_limited for section in sections for row in section.rows for each in row.rounds):
        parts += ["\\* the load generator was at its own limit: the server may be faster than shown.", ""]
    return "\n".join(parts) + "\n"
