"""The batches of an epoch, in an order that seed and epoch alone decide, each process taking its share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from conveyor_trainer.checkpoint import Position
from conveyor_trainer.data.file_rows import FileRows
from conveyor_trainer.data.read_ahead import read_ahead
from conveyor_trainer.data.split import Rows
from conveyor_trainer.errors import DataError
from conveyor_trainer.imbalance import epoch_order
from conveyor_trainer.job import Job
from conveyor_trainer.seeds import derived_seed

_MAX_BYTES_ON_DEVICE = 2 << 30  # larger sets stay in the computer's memory


@dataclass(frozen=True, kw_only=True)
class Batch:
    """This process's part of a step's rows, on the device."""

    rows: Tensor  # uint8 (n, H, W, C) or float32 (n, C, L)
    targets: Tensor
    # Averaging gradients over processes counts every process alike; the loss is weighted with this so that every row
    # counts alike. 1 where all parts are as large.
    weight: float

    def __len__(self) -> int:
        return len(self.rows)


class Batches:
    """The training rows, moved to a GPU once where they fit. Raises DataError when a process would get none."""

    def __init__(self, job: Job, accelerator: Accelerator) -> None:
        self._job = job
        self._device = accelerator.device
        self._process, self._processes = accelerator.process_index, accelerator.num_processes
        split = job.data.train
        if len(split) < self._processes:
            raise DataError(f"{len(split)} training rows are too few for {self._processes} processes: start fewer")
        self._rows = _in_reach(split.rows, self._device)
        self._targets = torch.from_numpy(split.targets).to(self._device)

    def of_epoch(self, position: Position) -> Iterator[Batch]:
        """Those of the present epoch that are still to come."""
        seed = derived_seed(self._job.config.seed, f"order/{position.epoch}")
        generator = torch.Generator().manual_seed(seed)
        order = epoch_order(self._job.data.train, self._job.config.recipe, self._job.passes, generator)
        size, steps = self._job.config.recipe.batch_size, self._job.steps_per_epoch
        sizes = [size] * (steps - 1) + [len(order) - size * (steps - 1)]
        batches = map(self._batch, torch.split(order, sizes)[position.step :])
        return read_ahead(batches) if isinstance(self._rows, FileRows) else batches

    def _batch(self, chosen: Tensor) -> Batch:
        # A last batch with fewer rows than processes: the first ones are taken again, so that none goes without.
        mine = chosen.tensor_split(self._processes)[self._process] if len(chosen) >= self._processes else chosen[:1]
        weight = len(mine) * self._processes / max(len(chosen), self._processes)
        if isinstance(self._rows, Tensor):
            rows = self._rows[mine.to(self._device)]
        else:
            rows = torch.from_numpy(self._rows[mine.numpy()]).to(self._device)
        return Batch(rows=rows, targets=self._targets[mine.to(self._device)], weight=weight)


def _in_reach(rows: Rows, device: torch.device) -> Tensor | Rows:
    """As a tensor, on the device where that has room; what is decoded on the way stays where it is."""
    if not isinstance(rows, np.ndarray):
        return rows
    tensor = torch.from_numpy(rows)
    return tensor.to(device) if device.type == "cpu" or tensor.nbytes <= _MAX_BYTES_ON_DEVICE else rows
