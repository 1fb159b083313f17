"""PyTorch's own answers, in fp32 on the CPU: what the exported file is held against. Needs torch.

Nothing here is shared with the exported graph: normalisation is numpy's, and the network is a copy of the caller's.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from conveyor_exporter.description import ModelDescription
from conveyor_exporter.errors import ConversionError, ExportError
from conveyor_exporter.model_input import Rows

CHUNK_ROWS = 256


@dataclass(frozen=True, kw_only=True)
class TorchReference:
    """A network in eval mode with its description."""

    network: nn.Module
    description: ModelDescription
    name: str = "PyTorch"

    def raw_answers(self, rows: Rows) -> NDArray[np.float32]:
        """What the network's forward gives: logits, probabilities or values [N, outputs]."""
        chunks = [rows[start : start + CHUNK_ROWS] for start in range(0, len(rows), CHUNK_ROWS)]
        with torch.inference_mode():
            answers = [self.network(self._input(chunk)).numpy() for chunk in chunks]
        return np.concatenate(answers)

    def answers(self, rows: Rows) -> NDArray[np.float32]:
        """What the exported file must answer: probabilities or values [N, outputs]."""
        raw = self.raw_answers(rows)
        return torch.softmax(torch.from_numpy(raw), dim=1).numpy() if self.description.adds_softmax else raw

    def layer_answers(self, rows: Rows) -> dict[str, tuple[str, NDArray[np.float32]]]:
        """Module path -> (class, what it gave), in the order of the run, for modules that are run once."""
        found: dict[str, tuple[str, NDArray[np.float32]]] = {}
        repeated: set[str] = set()

        def keep(path: str, module: nn.Module, answer: Any) -> None:
            if path in found:
                repeated.add(path)
            elif isinstance(answer, torch.Tensor) and answer.dtype == torch.float32:
                found[path] = (type(module).__name__, answer.numpy())

        hooks = [
            module.register_forward_hook(lambda module, _inputs, answer, path=path: keep(path, module, answer))
            for path, module in self.network.named_modules()
            if path
        ]
        try:
            self.raw_answers(rows)
        finally:
            for hook in hooks:
                hook.remove()
        return {path: answer for path, answer in found.items() if path not in repeated}

    def _input(self, rows: Rows) -> torch.Tensor:
        return torch.from_numpy(self.description.input.normalise(rows))


def detached_copy(module: nn.Module) -> nn.Module:
    """A copy on the CPU, in fp32 and eval mode and without gradients; the caller's module stays as it was."""
    try:
        copied = copy.deepcopy(module)
    except Exception as error:  # whatever the module's own parts raise when they are copied
        raise ExportError(
            f"the network {type(module).__name__} cannot be copied ({error}), and export works on a copy so that yours "
            "stays as it is; detach the tensors that it keeps outside its parameters."
        ) from error
    return copied.cpu().float().eval().requires_grad_(False)


def probe(network: nn.Module, description: ModelDescription, rows: Rows) -> int:
    """Runs the network once as it is and returns its number of outputs.

    Raises ConversionError when it fails, or when it does not give one row of float32 per row.
    """
    name = type(network).__name__
    inputs = torch.from_numpy(description.input.normalise(rows))
    try:
        with torch.inference_mode():
            answers: Any = network(inputs)
    except Exception as error:  # the network is the caller's: anything may come out of it
        raise ConversionError("forward", _forward_failed(name, inputs, error)) from error
    if not isinstance(answers, torch.Tensor):
        raise ConversionError(
            "forward",
            f"{name} returns a {type(answers).__name__}; expected one tensor of shape [batch, outputs]: wrap the "
            "network in a module that picks it.",
        )
    if answers.ndim != 2 or len(answers) != len(rows) or answers.dtype != torch.float32:
        raise ConversionError(
            "forward",
            f"{name} turns {len(rows)} rows into {answers.dtype} {list(answers.shape)}; expected torch.float32 "
            f"[{len(rows)}, outputs]: end it with one value per label and row.",
        )
    return int(answers.shape[1])


def _forward_failed(name: str, inputs: torch.Tensor, error: Exception) -> str:
    reason = " ".join(str(error).split()) or type(error).__name__
    return (
        f"{name} cannot run on one float32 tensor of shape {list(inputs.shape)} ({type(error).__name__}: {reason}); "
        "check the input's size and that forward takes one tensor."
    )


@contextmanager
def one_thread() -> Iterator[None]:
    """PyTorch on a single thread, so that the figures of the proof do not depend on the machine's load or size."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
