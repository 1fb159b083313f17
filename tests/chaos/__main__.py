"""Faults on purpose, under load: `python -m tests.chaos --help`. Exits 1 when a call was lost, wrong or stranded."""

import argparse
import asyncio
import sys

from rich.console import Console

from conveyor_server.engines.envoy.able import why_not
from tests.chaos.faults import FAULTS, Fault
from tests.chaos.scene import Setting
from tests.chaos.verdict import Verdict, table_of, try_fault


def main() -> int:
    """Tries what was asked for; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--engine", choices=["grpcio", "envoy"], action="append", help="default: both")
    parser.add_argument("--workers", type=int, action="append", help="default: 1 and 2")
    parser.add_argument("--fault", choices=[fault.name for fault in FAULTS], action="append", help="default: all")
    parser.add_argument(
        "--seconds", type=float, default=2.0, help="about how long callers ask before and after a fault (default 2)"
    )
    asked = parser.parse_args()
    settings = [
        Setting(engine=engine, workers=workers)
        for engine in asked.engine or ["grpcio", "envoy"]
        for workers in asked.workers or [1, 2]
    ]
    faults = [fault for fault in FAULTS if fault.name in (asked.fault or [fault.name])]
    verdicts = asyncio.run(_try_all(faults, settings, asked.seconds))
    Console(width=None if sys.stdout.isatty() else 200).print(table_of(verdicts))
    return 0 if all(verdict.is_good for verdict in verdicts) else 1


async def _try_all(faults: list[Fault], settings: list[Setting], seconds: float) -> list[Verdict]:
    console = Console(stderr=True)
    verdicts = []
    for setting in settings:
        if setting.engine == "envoy" and (problem := why_not()) is not None:
            console.print(f"the engine envoy is left out: {problem}")
            continue
        for fault in faults:
            console.print(f"{fault.name} ({setting.engine}, workers={setting.workers})")
            verdicts.append(await try_fault(fault, setting, seconds))
    return verdicts


if __name__ == "__main__":
    raise SystemExit(main())
