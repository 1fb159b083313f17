"""The training loop. Read `fit` from top to bottom: it is the whole of training.

Shapes: rows (N, H, W, C) uint8, inputs (N, C, H, W) float32, logits (N, classes), labels (N,) int64.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, isfinite
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  # its usual name

from conveyor_trainer.architecture import Architecture
from conveyor_trainer.checkpoint import BEST_FILE, EpochMetrics, Position, load_checkpoint, save_checkpoint
from conveyor_trainer.config import RunConfig
from conveyor_trainer.data.split import DataSet
from conveyor_trainer.errors import TrainerError, TrainingStoppedError
from conveyor_trainer.evaluate import evaluate_module
from conveyor_trainer.interruption import StopRequest
from conveyor_trainer.learner import Learner
from conveyor_trainer.module import build_module
from conveyor_trainer.normalise import Normaliser
from conveyor_trainer.progress import TrainingProgress
from conveyor_trainer.report import Normalisation
from conveyor_trainer.schedule import learning_rate
from conveyor_trainer.weights import write_tensors


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is to be trained, on what, how, and where the checkpoints go."""

    config: RunConfig
    architecture: Architecture
    data: DataSet
    normalisation: Normalisation
    checkpoints: Path
    run_key: str  # equal for runs that must give equal weights
    resume_command: str

    @property
    def passes(self) -> int:
        """How often an epoch goes over the training images: once, unless the set is small for the recipe."""
        recipe = self.config.recipe
        return max(1, ceil(recipe.minimum_steps_per_epoch * recipe.batch_size / len(self.data.train)))

    @property
    def steps_per_epoch(self) -> int:
        """The last batch of an epoch may be smaller."""
        return ceil(self.passes * len(self.data.train) / self.config.recipe.batch_size)

    def learning_rate(self, step: int) -> float:
        """Of a step counted from the start of training."""
        return learning_rate(self.config.recipe, step, self.config.recipe.epochs * self.steps_per_epoch)


def fit(job: Job, progress: TrainingProgress, stop: StopRequest, *, resume: bool) -> Position:
    """Trains to the last epoch. The best weights are in the checkpoint folder afterwards.

    Raises TrainingStoppedError when `stop` was requested (all is saved), TrainerError when the loss is no number.
    """
    recipe = job.config.recipe
    accelerator = Accelerator(cpu=not torch.cuda.is_available())
    with torch.random.fork_rng():
        torch.manual_seed(_derived_seed(job.config.seed, "weights"))
        learner = Learner(build_module(job.architecture).to(accelerator.device), recipe)
        position = load_checkpoint(job.checkpoints, learner, job.run_key) if resume else Position()
        module, optimizer = accelerator.prepare(learner.module, learner.optimizer)
        normalise = Normaliser(job.normalisation, accelerator.device)
        rows, labels = torch.from_numpy(job.data.train.images), torch.from_numpy(job.data.train.labels)

        while position.epoch < recipe.epochs:
            if position.step == 0:
                torch.manual_seed(_derived_seed(job.config.seed, f"dropout/{position.epoch}"))
            module.train()
            for batch in _batches(job, position):
                started = time.perf_counter()
                for group in optimizer.param_groups:
                    group["lr"] = job.learning_rate(position.epoch * job.steps_per_epoch + position.step)
                inputs, targets = normalise(rows[batch].to(accelerator.device)), labels[batch].to(accelerator.device)
                logits = module(inputs)
                loss = F.cross_entropy(logits, targets, label_smoothing=recipe.label_smoothing)
                optimizer.zero_grad()
                accelerator.backward(loss)
                if recipe.gradient_clip is not None:
                    accelerator.clip_grad_norm_(module.parameters(), recipe.gradient_clip)
                optimizer.step()
                if learner.average is not None:
                    learner.average.update_parameters(learner.module)

                _count(position, float(loss.detach()), logits.detach(), targets)
                position.seconds += time.perf_counter() - started
                progress.step(position)
                if stop.requested:
                    save_checkpoint(job.checkpoints, learner, position, job.run_key)
                    raise TrainingStoppedError(
                        f"stopped in epoch {position.epoch + 1} after step {position.step} of {job.steps_per_epoch}; "
                        f"everything is saved: go on with `{job.resume_command}`"
                    )

            _finish_epoch(job, learner, position)
            save_checkpoint(job.checkpoints, learner, position, job.run_key)
            progress.epoch(position.history[-1])
    return position


def _batches(job: Job, position: Position) -> Iterator[Tensor]:
    """Indices of the epoch's batches that are still to come, in an order that seed and epoch alone decide."""
    generator = torch.Generator().manual_seed(_derived_seed(job.config.seed, f"order/{position.epoch}"))
    order = torch.cat([torch.randperm(len(job.data.train), generator=generator) for _ in range(job.passes)])
    return iter(torch.split(order, job.config.recipe.batch_size)[position.step :])


def _count(position: Position, loss: float, logits: Tensor, targets: Tensor) -> None:
    position.step += 1
    if not isfinite(loss):
        raise TrainerError(
            f"the loss became {loss} in epoch {position.epoch + 1} at step {position.step}: the last good checkpoint "
            "is kept; try a lower learning rate or gradient_clip in the recipe"
        )
    position.images += len(targets)
    position.loss_sum += loss * len(targets)
    position.correct += int((logits.argmax(dim=1) == targets).sum())


def _finish_epoch(job: Job, learner: Learner, position: Position) -> None:
    """Validates, writes the epoch's line and keeps the weights if they are the best so far."""
    held_out, steps = job.data.validation, (position.epoch + 1) * job.steps_per_epoch
    validated = evaluate_module(learner.kept, held_out, job.normalisation) if len(held_out) else None
    metrics = EpochMetrics(
        epoch=position.epoch + 1,
        steps=steps,
        train_loss=position.loss_sum / position.images,
        train_accuracy=position.correct / position.images,
        validation_loss=validated.loss if validated else None,
        validation_accuracy=validated.accuracy if validated else None,
        learning_rate=job.learning_rate(steps - 1),
        seconds=position.seconds,
        images_per_second=position.images / position.seconds,
    )
    better = _is_better(metrics, position.best)
    position.history.append(metrics)
    position.epoch += 1
    position.start_epoch()
    if better:
        position.best_epoch = position.epoch
        write_tensors(job.checkpoints / BEST_FILE, learner.kept.state_dict())


def _is_better(metrics: EpochMetrics, best: EpochMetrics | None) -> bool:
    """By validation accuracy, then by loss; the latest where nothing was held out."""
    if best is None or metrics.validation_accuracy is None or best.validation_accuracy is None:
        return True
    assert metrics.validation_loss is not None
    assert best.validation_loss is not None
    return (metrics.validation_accuracy, -metrics.validation_loss) > (best.validation_accuracy, -best.validation_loss)


def _derived_seed(seed: int, purpose: str) -> int:
    """A seed of its own for each purpose, so that none disturbs another."""
    return int.from_bytes(hashlib.blake2b(f"{seed}/{purpose}".encode(), digest_size=7).digest(), "big")
