"""What is measured with the large network: serving beside ONNX Runtime alone, and more load than can be carried."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

from conveyor_bench.compare import large_network
from conveyor_bench.compare.figures import Row, Section
from conveyor_bench.compare.generators import measure, run_overload
from conveyor_bench.compare.sections import Entry, Plan, alone, shown, take_turns
from conveyor_bench.compare.targets import infer, pinned, start_engine
from conveyor_bench.server_process import conveyor_command
from conveyor_client import ConveyorClientError

LARGE = "large"
_IN_FLIGHT = 16
# The server's queue in the overload, in rows: who is let in last waits for the batch that runs and then for a batch of
# as many. Both as long as at full load would make twice its latency already.
_QUEUE = 12
# Its answers take a tenth of a second and more: a measurement needs more of them than one of small networks.
_STRETCH = 5.0


def make_large(folder: Path) -> tuple[Path, Path]:
    """A repository with the large network; the folder and the file. Raises ConveyorClientError."""
    module = f"{large_network.__file__}:make"
    options = ["--input", "3x224x224", "--to", str(folder), "--name", LARGE]
    done = subprocess.run(
        conveyor_command("export", "--module", module, *options), check=False, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise ConveyorClientError(f"the large network could not be exported: {done.stderr[-400:]}")
    return folder, folder / LARGE / "1" / "model.onnx"


def large(plan: Plan, made: tuple[Path, Path], server_core: set[int]) -> Section:
    """One image a request, beside ONNX Runtime alone with the same file, core and thread."""
    repository, file = made
    plan = replace(plan, seconds=_STRETCH * plan.seconds)
    yardsticks = {size: Row(name=f"ONNX Runtime alone, batches of {size}", images_per_request=size) for size in (1, 16)}
    entries = [Entry(row=row, measure=alone(plan, file, server_core, size)) for size, row in yardsticks.items()]
    names = tuple(row.name for row in yardsticks.values())
    with ExitStack() as stack:
        for engine in plan.engines:
            with pinned(server_core):
                address = start_engine(stack, repository, engine)
            row = Row(name=f"{engine}: ModelInfer, uint8", compared_with=names)
            under_load = partial(measure, infer(address, LARGE), _IN_FLIGHT, plan.seconds, None)
            entries.append(Entry(row=row, measure=under_load))
        note = "224x224 in colour, 1.2 GFLOP an image, one thread everywhere."
        return take_turns(plan, f"A large network, {_IN_FLIGHT} in flight", note, entries)


def overload(plan: Plan, made: tuple[Path, Path], server_core: set[int]) -> Section:
    """Goodput and latency of accepted requests at full load, and at twice the rate that was carried then."""
    repository, _ = made
    seconds = _STRETCH * plan.seconds
    rows = []
    with ExitStack() as stack:
        for engine in plan.engines:
            with pinned(server_core):
                usual = infer(start_engine(stack, repository, engine), LARGE)
                bounded = infer(start_engine(stack, repository, engine, "--max-queue-size", str(_QUEUE)), LARGE)
            full = Row(name=f"{engine}: full load")
            twice = Row(name=f"{engine}: twice that rate", compared_with=(full.name,))
            rows += [full, twice]
            for _ in range(plan.rounds):
                full.rounds.append(measure(usual, _IN_FLIGHT, seconds, None))
                twice.rounds.append(run_overload(bounded, 2 * full.rounds[-1].requests_per_second, seconds))
    note = (
        f"The large network. Full load: {_IN_FLIGHT} in flight. Twice: an open loop at constant intervals to a server "
        f"with `--max-queue-size {_QUEUE}`; only answered requests are counted, the others were refused at the door."
    )
    return shown(Section(title="More load than can be carried", note=note, rows=rows))
