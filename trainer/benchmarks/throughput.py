"""Trained images/s of Conveyor's loop beside the shortest PyTorch loop over the same tensors, taken in turns.

    python trainer/benchmarks/throughput.py [--architecture NAME] [--rounds N] [--batch-size N]

Both loops train the same network with the same optimizer on the digits data set. The bare loop has its images
normalised before it starts, and does nothing but learn; Conveyor's normalises, counts loss and accuracy and can be
stopped at each step. Faster options are measured against the same bare loop. Rounds are short and interleaved, and
the median of their ratios is printed, so that a busy machine disturbs all alike.
"""

import argparse
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch
from torch.nn import functional as F  # noqa: N812  # its usual name

from conveyor_trainer.fit import fit
from conveyor_trainer.interruption import StopRequest
from conveyor_trainer.job import Job
from conveyor_trainer.network import build_network
from conveyor_trainer.normalise import Normaliser
from conveyor_trainer.prepare import prepare
from conveyor_trainer.processes import training_processes
from conveyor_trainer.progress import TrainingProgress
from conveyor_trainer.recipe import changed_recipe
from conveyor_trainer.settings import TrainSettings

STEPS = 100  # a round
PLAIN = {"epochs": 1, "held_out": 0.0, "minimum_steps_per_epoch": STEPS}
OPTIONS: dict[str, dict[str, object]] = {
    "conveyor": {},
    "channels_last": {"channels_last": True},
    "bf16": {"precision": "bf16"},
    "bf16 + channels_last": {"precision": "bf16", "channels_last": True},
}


def main() -> None:
    """Prints a line a round and the ratios at the end."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--architecture", default="mnist_cnn")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch-size", type=int, default=64)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        jobs = {
            name: _job(Path(folder), given.architecture, given.batch_size, changes) for name, changes in OPTIONS.items()
        }
        ratios: dict[str, list[float]] = {name: [] for name in OPTIONS}
        for number in range(given.rounds + 1):
            bare = _bare(jobs["conveyor"])
            speeds = {name: _conveyor(job) for name, job in jobs.items()}
            if number == 0:
                continue  # the first round warms up
            line = ", ".join(f"{name} {speed:,.0f}" for name, speed in speeds.items())
            print(f"round {number}: bare {bare:,.0f}, {line} images/s")  # noqa: T201
            for name, speed in speeds.items():
                ratios[name].append(speed / bare)
    print(f"\n{given.architecture}, batch {given.batch_size}, {torch.get_num_threads()} threads; median ratio to bare:")  # noqa: T201
    for name, found in ratios.items():
        print(f"  {name:<22} {statistics.median(found):.3f}")  # noqa: T201


def _job(folder: Path, architecture: str, batch_size: int, changes: dict[str, object]) -> Job:
    settings = TrainSettings(architecture=architecture, data="digits", run=folder, recipe="article")
    settings = settings.model_copy(update={"batch_size": batch_size, "epochs": 1})
    job = prepare(settings)
    recipe = changed_recipe(job.config.recipe, PLAIN | changes)
    job.checkpoints.mkdir(exist_ok=True)
    return replace(job, config=job.config.model_copy(update={"recipe": recipe}))


def _conveyor(job: Job) -> float:
    with training_processes() as accelerator, TrainingProgress(job, shown=False) as progress:
        return fit(job, accelerator, progress, StopRequest()).history[0].images_per_second


def _bare(job: Job) -> float:
    torch.manual_seed(0)
    module = build_network(job.architecture)
    optimizer = torch.optim.Adam(module.parameters(), lr=job.config.recipe.learning_rate)
    inputs = Normaliser(job.normalisation)(torch.from_numpy(job.data.train.rows[:]))
    targets = torch.from_numpy(job.data.train.targets)
    images = 0
    started = time.perf_counter()
    for _ in range(job.passes):
        for chosen in torch.split(torch.randperm(len(targets)), job.config.recipe.batch_size):
            loss = F.cross_entropy(module(inputs[chosen]), targets[chosen])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it bare
            optimizer.step()
            images += len(chosen)
    return images / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
