"""The processes of one training: one, or several that `accelerate launch` started."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from accelerate import Accelerator
from accelerate.state import PartialState


@contextmanager
def training_processes() -> Iterator[Accelerator]:
    """What joins the processes; on the CPU where there is no CUDA device. Leaves them again at the end.

    The recipe alone decides the precision, so Accelerate is told to leave it as it is.
    """
    accelerator = Accelerator(cpu=not torch.cuda.is_available(), mixed_precision="no")
    try:
        yield accelerator
        accelerator.wait_for_everyone()
    finally:
        accelerator.end_training()


def is_main_process() -> bool:
    """Whether this process speaks for all: prints, exports."""
    return bool(_state().is_main_process)


def process_count() -> int:
    """How many train together."""
    return int(_state().num_processes)


def _state() -> PartialState:
    return PartialState(cpu=not torch.cuda.is_available())
