"""Pictures: the percentile curve of a run, and latency against throughput."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from hdrh.histogram import HdrHistogram

_SHARES = [0.0, *(1 - 10 ** (-step / 20) for step in range(1, 81))]


def plot_percentiles(curves: Mapping[str, HdrHistogram], title: str, target: Path) -> None:
    """Draws latency against percentile, a curve for each name; the axis stretches towards 100 % to show the tail."""
    # Matplotlib takes a second to import; only this needs it. The figure is made without a display.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    # No further into the tail than there are requests to show it.
    requests = max(1, *(each.get_total_count() for each in curves.values()))
    for name, histogram in curves.items():
        shares = [share for share in _SHARES if 1 - share >= 1 / max(1, histogram.get_total_count())]
        latencies = [histogram.get_value_at_percentile(100 * share) / 1000 for share in shares]
        axes.plot([1 / (1 - share) for share in shares], latencies, label=name)
    axes.set_xscale("log")
    marks = [mark for mark in (0.5, 0.9, 0.99, 0.999, 0.9999) if 1 - mark >= 1 / requests]
    axes.set_xticks([1, *(1 / (1 - mark) for mark in marks)], ["0", *(f"{100 * mark:g}" for mark in marks)])
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.set_xlabel("percentile of requests")
    axes.set_ylabel("latency, ms")
    axes.set_title(title, fontsize="medium")
    axes.grid(alpha=0.3)
    if len(curves) > 1:
        axes.legend(fontsize="small")
    figure.savefig(target)


def plot_throughput(
    curves: Mapping[str, Sequence[tuple[float, float]]], title: str, target: Path, limit: float | None = None
) -> None:
    """Draws latency in ms against requests/s, a curve for each name; `limit` in ms is drawn across."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for name, points in curves.items():
        axes.plot([rate for rate, _ in points], [latency for _, latency in points], marker="o", label=name)
    if limit is not None:
        axes.axhline(limit, color="grey", linestyle="--", label=f"{limit:g} ms")
    axes.set_yscale("log")
    axes.set_xlim(left=0)
    axes.set_xlabel("requests/s")
    axes.set_ylabel("latency, ms")
    axes.set_title(title, fontsize="medium")
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize="small")
    figure.savefig(target)
