"""What the server's eyes cost: histograms, metrics and drift, as it is by default beside a server without them.

Both run at the same time, and are asked in turns, so that what else the machine does meets both alike:

    python server/benchmarks/eyes_cost.py REPOSITORY MODEL [--engine grpcio] [--rounds 7] [--seconds 5]

In each round the page of the server with eyes is read once, which is more often than Prometheus does. CPU time is
what to trust on a busy machine, but no figure of a machine that does much else tells a few per cent.
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

from conveyor_bench.process_usage import cpu_seconds
from conveyor_bench.server_process import ServerProcess, conveyor_command, running

BLIND = ("--no-metrics", "--no-drift", "--no-http")


@dataclass(frozen=True, kw_only=True)
class Round:
    """One server's figures of one round."""

    requests_per_second: float
    cpu_microseconds: float  # a request, of all the server's processes
    p99_ms: float


def measure(server: ServerProcess, page: str, arguments: argparse.Namespace) -> Round:
    """Asks one server for a while, as many requests under way as given, and reads its page, where it has one."""
    with NamedTemporaryFile(suffix=".json") as file:
        before = cpu_seconds(server.process.pid)
        command = conveyor_command(
            *("bench", "--url", server.address, "--model", arguments.model, "--protocol", arguments.protocol),
            *("--concurrency", str(arguments.in_flight), "--warmup", "0", "--processes", "1"),
            *("--duration", str(arguments.seconds), "--json", file.name),
        )
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if page:
            with urllib.request.urlopen(page, timeout=10) as answer:  # noqa: S310 -- our own server's address
                answer.read()
        after = cpu_seconds(server.process.pid)
        report = json.loads(Path(file.name).read_text())["report"]
    if before is None or after is None:
        raise SystemExit("this needs /proc")
    return Round(
        requests_per_second=report["requests_per_second"],
        cpu_microseconds=1e6 * (after - before) / report["requests"],
        p99_ms=report["latency_ms"]["p99"],
    )


def free_http_port() -> int:
    """For the server with eyes, whose page is scraped."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def main() -> None:
    """Prints medians and the ratio of each figure."""
    arguments = _arguments()
    port = free_http_port()
    serve = conveyor_command("serve", arguments.repository, "--port", "0", "--engine", arguments.engine)
    with (
        running([*serve, "--http-port", str(port)]) as seeing,
        running([*serve, *BLIND]) as blind,
    ):
        rounds: dict[str, list[Round]] = {"with": [], "without": []}
        for number in range(-1, arguments.rounds):
            turns = [("with", seeing, f"http://127.0.0.1:{port}/metrics"), ("without", blind, "")]
            for name, server, page in turns if number % 2 else reversed(turns):
                measured = measure(server, page, arguments)
                if number >= 0:  # the first warms both up
                    rounds[name].append(measured)
    report(rounds)


def report(rounds: dict[str, list[Round]]) -> None:
    """One line a figure: both medians, and the median and spread of the rounds' own ratios."""
    for figure in ("requests_per_second", "cpu_microseconds", "p99_ms"):
        seeing, blind = ([getattr(each, figure) for each in rounds[name]] for name in ("with", "without"))
        ratios = sorted(one / other for one, other in zip(seeing, blind, strict=True))
        sys.stdout.write(
            f"{figure.replace('_', ' '):20} with {statistics.median(seeing):9.1f}  "
            f"without {statistics.median(blind):9.1f}  "
            f"ratio {statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})\n"
        )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repository", type=Path)
    parser.add_argument("model")
    parser.add_argument("--engine", default="grpcio")
    parser.add_argument("--protocol", default="inference")
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=5.0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
