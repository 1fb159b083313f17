"""A report as a person reads it."""

from rich.console import Console
from rich.table import Table

from conveyor_bench.report import Distribution, Report
from conveyor_bench.run import Result
from conveyor_bench.sweep import Sweep


def print_result(result: Result, console: Console) -> None:
    """Prints the figures as tables; plain text when the console is no terminal."""
    if result.sweep is not None:
        _print_sweep(result.sweep, console)
    _print_latency(result.report, result.title, console)
    for line in (*_lines(result.report), *_more_lines(result)):
        console.print(line, highlight=False, soft_wrap=True)


def _print_sweep(sweep: Sweep, console: Console) -> None:
    table = Table(
        "requests/s", "p50, ms", "p99, ms", "errors", f"p99 within {1e3 * sweep.slo:g} ms", title="rates tried"
    )
    for step in sweep.steps:
        errors = str(sum(step.report.errors.values()))
        table.add_row(
            f"{step.rate:,.0f}",
            f"{step.report.p50:.2f}",
            f"{step.report.p99:.2f}",
            errors,
            "yes" if step.meets else "no",
        )
    console.print(table)


def _print_latency(report: Report, title: str, console: Console) -> None:
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


def _figures(part: Distribution) -> list[str]:
    return [*(f"{each.value:.2f}" for each in part.percentiles), f"{part.mean:.2f}", f"{part.max:.2f}"]


def _lines(report: Report) -> list[str]:
    lines = [
        f"throughput  {report.requests_per_second:.1f} requests/s, {report.images_per_second:.1f} images/s"
        + (f", in batches of {report.mean_batch_size:.1f} rows on average" if report.mean_batch_size else ""),
        f"answers     {report.answered} of {report.requests} requests in {report.seconds:.2f} s",
    ]
    if report.errors:
        lines.append("errors      " + ", ".join(f"{code}: {count}" for code, count in sorted(report.errors.items())))
    if report.changed_answers:
        lines.append(f"wrong       {report.changed_answers} answers differ from the first one to the same request")
    if report.client_saturated:
        lines.append(
            f"warning     the busiest of the client's {report.client_processes} processes used "
            f"{report.client_cpu:.0%} of a core: it may be the limit, not the server; try --processes"
        )
    return lines


def _more_lines(result: Result) -> list[str]:
    lines = []
    if result.interrupted:
        lines.append("stopped     before its time: these are the figures until then")
    if result.server_means:
        means = result.server_means
        lines.append(
            f"server      queue {means['queue_ms']:.3f} ms, preprocess {means['preprocess_ms']:.3f} ms, "
            f"compute {means['compute_ms']:.3f} ms a request on average, "
            f"in batches of {means['mean_batch_size']:.1f} rows"
        )
    if result.sweep is not None:
        lines += _sweep_lines(result.sweep, result.settings.target_rate)
        if result.report.p99 > 1e3 * result.sweep.slo:
            lines.append("unsure      measured once more, p99 was beyond the limit: give each rate a longer --duration")
    served, one = result.report.images_per_second, result.settings.images_per_request
    for alone in result.baselines:
        lines.append(
            f"alone       ONNX Runtime without a server, batches of {alone.batch_size}: "
            f"{alone.milliseconds_per_run:.3f} ms a batch, {alone.images_per_second:.1f} images/s; "
            f"served: {served / alone.images_per_second:.2f} of it"
        )
        if alone.batch_size == one:
            lines.append(
                f"cost        {result.report.p50 - alone.milliseconds_per_run:.3f} ms of the median are not the model"
            )
    return lines


def _sweep_lines(sweep: Sweep, target_rate: float | None) -> list[str]:
    limit = f"{1e3 * sweep.slo:g} ms"
    if sweep.best is None:
        return [f"sweep       no rate tried kept p99 within {limit}; the server gets through {sweep.capacity:.0f}/s"]
    lines = [f"sweep       {sweep.best.rate:.0f} requests/s is the highest rate tried with p99 within {limit}"]
    if target_rate is not None:
        lines.append(
            f"replicas    {sweep.replicas(target_rate)} servers like this one carry {target_rate:g} requests/s"
        )
    return lines
