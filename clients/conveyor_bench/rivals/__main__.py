"""Beside other servers: python -m conveyor_bench.rivals [--rounds N] [--seconds S] ...

The same file, the same core, the same load, in turns. Each runs in an environment of its own; one that cannot be
installed or started is left out, and said so.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

from conveyor_bench.compare.figures import Row
from conveyor_bench.compare.generators import h2load_path, measure
from conveyor_bench.compare.models import FLOAT_MODEL, gather_models
from conveyor_bench.compare.results import write_results
from conveyor_bench.compare.sections import Entry, Plan, take_turns
from conveyor_bench.compare.targets import Target, cores, infer, pinned, start_echoes, start_engine
from conveyor_bench.rivals.environments import RIVALS, Rival
from conveyor_bench.server_process import running
from conveyor_client import ConveyorClientError

_IN_FLIGHT = (1, 64)
_NOTE = (
    "ModelInfer, float32, one image. MLServer has no ONNX Runtime of its own and PyTriton takes a Python function: "
    "both run the file through ONNX Runtime with one thread and with their own batching (64 rows at most)."
)


def main() -> None:
    """Measures, prints the tables and writes them."""
    plan = _parse(sys.argv[1:])
    server_core, load_core = cores()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        repository = Path(folder)
        _, file = gather_models(repository)
        with pinned(server_core):
            ours = {engine: infer(start_engine(stack, repository, engine), FLOAT_MODEL) for engine in plan.engines}
            workload = next(iter(ours.values()))
            targets = start_echoes(stack, workload)
            others = [
                Target(name=rival.name, workload=replace(workload, address=address))
                for rival in RIVALS
                if (address := _start(stack, rival, file)) is not None
            ]
        targets += [*others, *(Target(name=f"Conveyor, {name}", workload=each) for name, each in ours.items())]
        compared = tuple(each.name for each in others)
        with pinned(load_core):
            sections = [
                take_turns(
                    plan,
                    f"One image a request, {in_flight} in flight",
                    _NOTE,
                    [_entry(plan, each, in_flight, compared) for each in targets],
                )
                for in_flight in _IN_FLIGHT
            ]
    write_results(plan.docs, "make bench-rivals", sections, plan.method)
    sys.stdout.write(f"written to {plan.docs}\n")


def _entry(plan: Plan, target: Target, in_flight: int, others: tuple[str, ...]) -> Entry:
    compared = () if target.name in others else others
    return Entry(
        row=Row(name=target.name, compared_with=compared),
        measure=partial(measure, target.workload, in_flight, plan.seconds, plan.h2load),
    )


def _start(stack: ExitStack, rival: Rival, file: Path) -> str | None:
    try:
        command = [str(rival.prepare()), str(rival.script), str(file), FLOAT_MODEL]
        return stack.enter_context(running(command)).address
    except ConveyorClientError as error:
        sys.stderr.write(f"without {rival.name}: {error}\n")
        return None


def _parse(arguments: Sequence[str]) -> Plan:
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--docs", type=Path, default=Path("docs/benchmarks/rivals"))
    given = parser.parse_args(arguments)
    return Plan(
        rounds=given.rounds, seconds=given.seconds, h2load=h2load_path(), engines=("grpcio", "envoy"), docs=given.docs
    )


if __name__ == "__main__":
    try:
        main()
    except ConveyorClientError as error:
        sys.exit(f"error: {error}")
