"""The percentile curve of a run, as a picture."""

from pathlib import Path

from hdrh.histogram import HdrHistogram

_SHARES = [0.0, *(1 - 10 ** (-step / 20) for step in range(1, 81))]


def plot_percentiles(histogram: HdrHistogram, title: str, target: Path) -> None:
    """Draws latency against percentile; the axis stretches towards 100 % so that the tail can be read."""
    # Matplotlib takes a second to import; only this needs it. The figure is made without a display.
    from matplotlib.figure import Figure

    # No further into the tail than there are requests to show it.
    shares = [share for share in _SHARES if 1 - share >= 1 / max(1, histogram.get_total_count())]
    latencies = [histogram.get_value_at_percentile(100 * share) / 1000 for share in shares]
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot([1 / (1 - share) for share in shares], latencies)
    axes.set_xscale("log")
    marks = [mark for mark in (0.5, 0.9, 0.99, 0.999, 0.9999) if mark <= shares[-1]]
    axes.set_xticks([1, *(1 / (1 - mark) for mark in marks)], ["0", *(f"{100 * mark:g}" for mark in marks)])
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.set_xlabel("percentile of requests")
    axes.set_ylabel("latency, ms")
    axes.set_title(title, fontsize="medium")
    axes.grid(alpha=0.3)
    figure.savefig(target)
