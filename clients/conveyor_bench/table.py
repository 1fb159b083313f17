"""A report as a person reads it."""

from rich.console import Console
from rich.table import Table

from conveyor_bench.report import Distribution, Report


def print_report(report: Report, title: str, console: Console) -> None:
    """Prints the figures as tables; plain text when the console is no terminal."""
    latency = Table(title=title, title_justify="left")
    for heading in ("ms", *(f"p{each.percentile:g}" for each in report.latency.percentiles), "mean", "max"):
        latency.add_column(heading, justify="right")
    latency.add_row("latency", *_figures(report.latency))
    latency.add_row(
        "95 % interval", *(f"{each.low:.2f}-{each.high:.2f}" for each in report.latency.percentiles), "", ""
    )
    for name, part in (
        ("server: queue", report.queue),
        ("server: preprocess", report.preprocess),
        ("server: compute", report.compute),
        ("client: sent late", report.send_lag),
    ):
        if part.count:
            latency.add_row(name, *_figures(part))
    console.print(latency)
    for line in _lines(report):
        console.print(line, highlight=False, soft_wrap=True)


def _figures(part: Distribution) -> list[str]:
    return [*(f"{each.value:.2f}" for each in part.percentiles), f"{part.mean:.2f}", f"{part.max:.2f}"]


def _lines(report: Report) -> list[str]:
    lines = [
        f"throughput  {report.requests_per_second:.1f} requests/s, {report.images_per_second:.1f} images/s, "
        f"in batches of {report.mean_batch_size:.1f} rows on average",
        f"answers     {report.answered} of {report.requests} requests in {report.seconds:.2f} s",
    ]
    if report.errors:
        lines.append("errors      " + ", ".join(f"{code}: {count}" for code, count in sorted(report.errors.items())))
    if report.changed_answers:
        lines.append(f"wrong       {report.changed_answers} answers differ from the first one to the same request")
    if report.client_saturated:
        lines.append(
            f"warning     this client used {report.client_cpu:.0%} of a core: it may be the limit, not the server"
        )
    return lines
