"""The training loop. Read `fit` from top to bottom: it is the whole of training.

Shapes: rows (N, H, W, C) uint8 or (N, C, L) float32, inputs (N, C, ...) float32, answers (N, classes) logits or
(N, K) values, targets (N,) int64 or (N, K) float32.
"""

from __future__ import annotations

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from torch import Tensor, nn

from conveyor_trainer.batches import Batches
from conveyor_trainer.checkpoint import BEST_FILE, Position, load_checkpoint, save_checkpoint
from conveyor_trainer.divergence import check_loss, check_sound
from conveyor_trainer.errors import TrainingStoppedError
from conveyor_trainer.evaluate import validate
from conveyor_trainer.inputs import TrainingInputs
from conveyor_trainer.interruption import StopRequest
from conveyor_trainer.job import Job
from conveyor_trainer.learner import Learner
from conveyor_trainer.metrics import EpochMetrics
from conveyor_trainer.network import build_network
from conveyor_trainer.objective import Objective
from conveyor_trainer.progress import TrainingProgress
from conveyor_trainer.seeds import derived_seed, forked_generators, seed_generators
from conveyor_trainer.tally import Tally
from conveyor_trainer.transfer import take_weights
from conveyor_trainer.weights import write_tensors


def fit(
    job: Job, accelerator: Accelerator, progress: TrainingProgress, stop: StopRequest, *, resume: bool = False
) -> Position:
    """Trains to the last epoch. The best weights are in the checkpoint folder afterwards.

    Raises TrainingStoppedError when `stop` was requested (all is saved), TrainerError when loss or weights are no
    numbers.
    """
    recipe, device = job.config.recipe, accelerator.device
    inputs_of = TrainingInputs(recipe, job.normalisation, device)
    objective = Objective(job, device)
    batches = Batches(job, accelerator)
    with forked_generators():
        learner = Learner(_first_module(job, device), recipe, job.head)
        position = load_checkpoint(job.checkpoints, learner, job.run_key) if resume else Position()
        optimizer = accelerator.prepare_optimizer(learner.optimizer)

        network: nn.Module | None = None
        while position.epoch < recipe.epochs and not position.out_of_patience(recipe.patience):
            _set_mode(job, learner, position)
            if network is None or position.epoch == job.config.freeze_epochs:
                network = _wrapped(accelerator, learner.module)
            tally = Tally(position, accelerator, job.checkpoints)
            for batch in batches.of_epoch(position):
                step = position.epoch * job.steps_per_epoch + position.step
                # Seeded anew for each step, so that a resumed run needs no generator's state to go on with it.
                seed_generators(derived_seed(job.config.seed, f"step/{step}/{accelerator.process_index}"), device)
                learner.set_learning_rate(job.learning_rate(step))
                inputs = inputs_of(batch.rows)
                with torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bf16"):
                    answers = network(inputs)
                loss = objective.loss(answers.float(), batch.targets)

                optimizer.zero_grad()
                accelerator.backward(loss * batch.weight)
                if recipe.gradient_clip is not None:
                    accelerator.clip_grad_norm_(learner.module.parameters(), recipe.gradient_clip)
                optimizer.step()
                learner.average_weights(step + 1)

                tally.add(loss, objective.correct(answers.detach(), batch.targets), len(batch))
                if tally.due:
                    tally.read()
                    progress.step(position)
                if _stops(stop, accelerator, tally):
                    tally.read()
                    raise _stopped(job, accelerator, learner, position)

            tally.read()
            _finish_epoch(job, accelerator, learner, position)
            progress.epoch(position.history[-1])
    return position


def _first_module(job: Job, device: torch.device) -> nn.Module:
    """The network as it is before the first step, on the device: the same in every process."""
    seed_generators(derived_seed(job.config.seed, "weights"), device)
    module = build_network(job.architecture, job.normalisation)
    if job.config.init_from is not None and job.head is not None:
        take_weights(module, job.config.init_from, job.head)
    order = torch.channels_last if job.config.recipe.channels_last else torch.preserve_format
    module.to(device)
    return module.to(memory_format=order)  # type: ignore[call-overload, no-any-return]  # torch's stubs leave it out


def _set_mode(job: Job, learner: Learner, position: Position) -> None:
    """Training mode, with the backbone frozen in the epochs that ask for it."""
    learner.module.train()
    if learner.backbone is not None and job.config.freeze_epochs:
        learner.backbone.freeze(position.epoch < job.config.freeze_epochs)


def _wrapped(accelerator: Accelerator, module: nn.Module) -> nn.Module:
    """The module joined to those of the other processes, where there are any. Anew whenever other weights learn."""
    accelerator.free_memory()  # an earlier wrapper would go on exchanging gradients
    wrapped: nn.Module = accelerator.prepare_model(module)
    return wrapped


def _stops(stop: StopRequest, accelerator: Accelerator, tally: Tally) -> bool:
    """Whether to stop after this step. Several processes ask each other now and then, and stop together."""
    if accelerator.num_processes == 1:
        return stop.requested
    if not tally.due:
        return False
    wishes: Tensor = accelerator.reduce(torch.tensor(float(stop.requested), device=accelerator.device))
    return bool(wishes)


def _save(job: Job, accelerator: Accelerator, learner: Learner, position: Position) -> None:
    if accelerator.is_main_process:
        save_checkpoint(job.checkpoints, learner, position, job.run_key)


def _stopped(job: Job, accelerator: Accelerator, learner: Learner, position: Position) -> TrainingStoppedError:
    """Saves, and says how to go on."""
    check_sound(job, accelerator, learner, position)
    _save(job, accelerator, learner, position)
    return TrainingStoppedError(
        f"stopped in epoch {position.epoch + 1} after step {position.step} of {job.steps_per_epoch}; "
        f"everything is saved: go on with `{job.resume_command}`"
    )


def _finish_epoch(job: Job, accelerator: Accelerator, learner: Learner, position: Position) -> None:
    """Validates, notes the epoch's figures, keeps the weights if they are the best so far and saves."""
    check_sound(job, accelerator, learner, position)
    steps = (position.epoch + 1) * job.steps_per_epoch
    validation_loss, validation_accuracy = _validate(job, learner.kept)
    is_classification = job.architecture.task == "classification"
    metrics = EpochMetrics(
        epoch=position.epoch + 1,
        steps=steps,
        train_loss=position.loss_sum / position.images,
        train_accuracy=position.correct / position.images if is_classification else None,
        validation_loss=validation_loss,
        validation_accuracy=validation_accuracy,
        learning_rate=job.learning_rate(steps - 1),
        seconds=position.seconds,
        images_per_second=position.images / position.seconds,
    )
    # Every process has a batch norm of its own until the next step: what the main one measured counts for all.
    metrics = broadcast_object_list([metrics])[0]
    if metrics.validation_loss is not None:
        check_loss(metrics.validation_loss, "validation loss", position, position.step, job.checkpoints)
    better = metrics.is_better_than(position.best)
    position.history.append(metrics)
    position.epoch += 1
    position.start_epoch()
    if better:
        position.best_epoch = position.epoch
        if accelerator.is_main_process:
            write_tensors(job.checkpoints / BEST_FILE, learner.kept.state_dict())
    _save(job, accelerator, learner, position)


def _validate(job: Job, module: nn.Module) -> tuple[float | None, float | None]:
    """Loss and accuracy on the held-out rows; None where none are held out, and no accuracy of values."""
    held_out = job.data.validation
    if not len(held_out):
        return None, None
    validated = validate(module, held_out, job.normalisation)
    return validated.loss, validated.accuracy
