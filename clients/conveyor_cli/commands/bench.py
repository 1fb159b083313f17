"""conveyor bench: how fast a server answers, and where the time goes."""

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from conveyor_bench.settings import BenchSettings

SUMMARY = "measure a server's latency and throughput"
EXAMPLE = "conveyor bench --model mnist --rate 500 --duration 20 --json bench.json --plot bench.png"

Settings = BenchSettings


def run(settings: BenchSettings) -> int:
    """Prints the figures; 1 if no request was answered, or if answers changed under load."""
    # Needs the histogram package; help does not.
    from conveyor_bench.run import run_bench
    from conveyor_bench.table import print_report

    with _progress(settings.warmup + settings.duration):
        result = run_bench(settings)
    text = json.dumps(result.as_json(), indent=2) + "\n"
    if settings.json_ == Path("-"):
        sys.stdout.write(text)
        return 0 if result.report.ok else 1
    print_report(result.report, result.title, Console(width=None if sys.stdout.isatty() else 160))
    if settings.json_ is not None:
        settings.json_.write_text(text, encoding="utf-8")
    if settings.plot is not None:
        from conveyor_bench.plot import plot_percentiles

        plot_percentiles(result.latency, result.title, settings.plot)
    if not result.report.ok:
        sys.stderr.write("error: no request was answered, or answers changed under load: see above\n")
        return 1
    sys.stderr.write(f"next: {_next_command(settings, result.report.requests_per_second)}\n")
    return 0


@contextmanager
def _progress(seconds: float) -> Iterator[None]:
    """A bar that runs with the clock, in a thread of its own, on a terminal only."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    done = threading.Event()
    columns = (TextColumn("measuring"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=seconds)

        def advance() -> None:
            while not done.wait(0.5):
                progress.advance(task, 0.5)

        thread = threading.Thread(target=advance, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def _next_command(settings: BenchSettings, reached: float) -> str:
    command = f"conveyor bench --url {settings.url} --model {settings.model}"
    if settings.rate is None:
        return f"{command} --rate {max(1, round(0.8 * reached))}"
    return f"{command} --rate {round(1.25 * settings.rate, 1):g}"
