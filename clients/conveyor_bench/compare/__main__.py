"""The whole comparison: python -m conveyor_bench.compare [--rounds N] [--seconds S] [--docs FOLDER] ...

Servers have one core, the load another where there are two. Rows take turns within each round, so that a busy minute
of the machine falls on all of them; figures are medians over the rounds, and ratios are what to read.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from conveyor_bench.compare.generators import h2load_path
from conveyor_bench.compare.growth import connections, models
from conveyor_bench.compare.large import large, make_large, overload
from conveyor_bench.compare.models import FLOAT_MODEL, MODEL, gather_models
from conveyor_bench.compare.results import write_results
from conveyor_bench.compare.sections import Plan, batches, draw_curves, single_images, streams, workers
from conveyor_bench.compare.targets import cores, infer, pinned, start_echoes, start_engine
from conveyor_client import ConveyorClientError


def main() -> None:
    """Measures everything, prints tables as they come and writes the results."""
    plan = _parse(sys.argv[1:])
    all_cores = os.sched_getaffinity(0)
    server_core, load_core = cores()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        repository = Path(folder) / "models"
        files = dict(zip((MODEL, FLOAT_MODEL), gather_models(repository), strict=True))
        with pinned(server_core):
            addresses = _start(stack, repository, plan.engines)
            echoes = start_echoes(stack, infer(next(iter(addresses.values())), FLOAT_MODEL))
        with pinned(load_core):
            sections = [*single_images(plan, addresses, echoes), batches(plan, addresses, files, server_core)]
            sections.append(streams(plan, addresses))
            sections.append(connections(plan, addresses))
            curves = draw_curves(plan, addresses, echoes)
        with pinned(load_core):
            made = make_large(Path(folder) / "large")
            sections += [large(plan, made, server_core), overload(plan, made, server_core)]
            sections.append(models(plan, files[FLOAT_MODEL], Path(folder), server_core))
        with pinned(all_cores):
            sections.append(workers(plan, repository, tuple(addresses), echoes[0]))
    write_results(plan.docs, "make bench", sections, plan.method, curves)
    sys.stdout.write(f"written to {plan.docs}\n")


def _parse(arguments: Sequence[str]) -> Plan:
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--generator", choices=("auto", "h2load", "conveyor"), default="auto")
    parser.add_argument("--engine", action="append", choices=("grpcio", "envoy"), help="default: both, where able")
    parser.add_argument("--docs", type=Path, default=Path("docs/benchmarks"))
    given = parser.parse_args(arguments)
    h2load = None if given.generator == "conveyor" else h2load_path()
    if given.generator == "h2load" and h2load is None:
        parser.error("h2load is not installed; on Debian and Ubuntu: apt install nghttp2-client")
    engines = tuple(given.engine or ("grpcio", "envoy"))
    return Plan(rounds=given.rounds, seconds=given.seconds, h2load=h2load, engines=engines, docs=given.docs)


def _start(stack: ExitStack, repository: Path, engines: Sequence[str]) -> dict[str, str]:
    """Addresses by engine. Raises ConveyorClientError if none of them runs here."""
    addresses: dict[str, str] = {}
    for engine in engines:
        try:
            addresses[engine] = start_engine(stack, repository, engine)
        except ConveyorClientError as error:
            sys.stderr.write(f"without the {engine} engine: {error}\n")
    if not addresses:
        raise ConveyorClientError("no engine runs on this machine; `conveyor doctor` says why")
    return addresses


if __name__ == "__main__":
    try:
        main()
    except ConveyorClientError as error:
        sys.exit(f"error: {error}")
