"""Mixed traffic with faults for minutes or hours: `python -m tests.soak --help`.

Exits 1 when memory grew, when a thread or a descriptor was left over, or when a call was lost, wrong or stranded.
"""

import argparse
import asyncio
import sys
from pathlib import Path

from rich.console import Console
from tritonclient.utils import InferenceServerException

from tests.chaos import places
from tests.chaos.answers import RightAnswers
from tests.chaos.faults import EXPLICIT, BrokenError
from tests.chaos.scene import Setting
from tests.server.process import ServerProcess
from tests.soak.judgement import memory_of
from tests.soak.plot import draw
from tests.soak.soaking import Soaked, soak


def main() -> int:
    """Soaks; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="default 10; 60 for the long one")
    parser.add_argument("--engine", choices=["grpcio", "envoy"], default="envoy", help="default envoy")
    parser.add_argument("--workers", type=int, default=2, help="default 2")
    parser.add_argument("--plot", type=Path, default=Path("soak.png"), help="where the picture goes (default soak.png)")
    asked = parser.parse_args()
    setting = Setting(engine=asked.engine, workers=asked.workers)
    try:
        soaked = asyncio.run(_with_server(setting, asked.minutes * 60))
    except (BrokenError, TimeoutError, InferenceServerException) as error:
        Console().print(f"bad: the soak came to no end: {error}")
        return 1
    title = f"{asked.minutes:g} minutes, {asked.engine}, workers={asked.workers}"
    draw(soaked.sampler, title, asked.plot)
    return report(soaked, title)


async def _with_server(setting: Setting, seconds: float) -> Soaked:
    with places.plain() as repository:
        right = RightAnswers()
        right.write(repository, 1)
        flags = ("--engine", setting.engine, "--workers", str(setting.workers), *EXPLICIT)
        server = ServerProcess(repository, *flags)
        try:
            server.wait_until_serving()
            return await soak(setting, server, repository, right, seconds)
        finally:
            server.stop()


def report(soaked: Soaked, title: str) -> int:
    """Says what came of it; returns the exit code."""
    console = Console(width=None if sys.stdout.isatty() else 160)
    tally = soaked.tally
    console.print(
        f"{title}: {tally.answered} answered, {tally.refused} refused, {tally.cancelled} cancelled, "
        f"{tally.lost} lost, {tally.wrong} wrong, {tally.stranded} stranded, {tally.slow} slow; "
        f"{len(soaked.sampler.events)} faults"
    )
    bad = [*tally.examples, *soaked.left_over, *([soaked.broken] if soaked.broken else [])]
    for pid, samples in soaked.sampler.by_process():
        memory = memory_of(pid, samples)
        if memory is None:
            continue
        console.print(
            f"process {pid}: {memory.first_mib:.1f} MiB after the warm-up, {memory.last_mib:.1f} MiB at the end "
            f"({memory.growth:+.1%}; {memory.mib_per_hour:+.1f} MiB an hour), {samples[-1].threads} threads, "
            f"{samples[-1].descriptors} descriptors under load"
        )
        if not memory.is_flat:
            bad.append(f"process {pid} has grown by {memory.growth:.1%}")
    for sentence in bad:
        console.print(f"bad: {sentence}")
    console.print("verdict: " + ("bad" if bad else "good"))
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
