"""Loss and accuracy of the steps, read now and then: reading them makes a GPU wait."""

from __future__ import annotations

import time
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor

from conveyor_trainer.checkpoint import Position
from conveyor_trainer.divergence import check_loss

_STEPS_BETWEEN_READS = 20


class Tally:
    """Adds each step's figures to the position, over all processes."""

    def __init__(self, position: Position, accelerator: Accelerator, checkpoints: Path) -> None:
        self._position = position
        self._accelerator = accelerator
        self._checkpoints = checkpoints
        self._unread: list[Tensor] = []  # one (loss times rows, right answers, rows) a step
        self._clock = time.perf_counter()

    def add(self, loss: Tensor, correct: Tensor, rows: int) -> None:
        """After a step: its mean loss and right answers (0-d, on the device), over `rows` rows of this process."""
        loss = loss.detach().double() * rows
        self._unread.append(torch.stack([loss, correct.double(), loss.new_full((), rows)]))
        self._position.step += 1

    @property
    def due(self) -> bool:
        """Whether it is time to read; the same in every process."""
        return self._position.step % _STEPS_BETWEEN_READS == 0

    def read(self) -> None:
        """Brings the position up to date. Raises TrainerError at the first step whose loss is no number."""
        position = self._position
        if self._unread:
            summed = self._accelerator.reduce(torch.stack(self._unread), reduction="sum")
            first = position.step - len(self._unread) + 1
            self._unread.clear()
            for step, (loss, correct, rows) in enumerate(summed.tolist(), start=first):
                check_loss(loss, "loss", position, step, self._checkpoints)
                position.loss_sum += loss
                position.correct += int(correct)
                position.images += int(rows)
        now = time.perf_counter()
        position.seconds += now - self._clock
        self._clock = now
