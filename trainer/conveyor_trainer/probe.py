"""What a network from the user's own code answers, looked at before a minute is spent on training it."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from conveyor_contract.errors import UserCodeError
from conveyor_contract.user_code import error_words
from conveyor_trainer.errors import DataError
from conveyor_trainer.seeds import forked_generators
from conveyor_trainer.task import Task

_SUM_TOLERANCE = 1e-3  # of a softmax's row


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """`reference` names the network in errors; `input_shape` is (C, H, W) or (C, L)."""

    reference: str
    input_shape: tuple[int, ...]
    outputs: int
    task: Task


def check_answers(module: nn.Module, expected: Expectation) -> None:
    """Runs a copy on two blank rows, as in use and as in training. Raises UserCodeError or DataError."""
    try:
        copied = copy.deepcopy(module)
    except Exception as error:  # the network is the user's: anything may come out of it
        raise UserCodeError(
            f"{expected.reference} gives a network that cannot be copied ({error_words(error)}): averaging and export "
            "work on copies; detach the tensors that it keeps outside its parameters."
        ) from error
    answers = _answers(copied.eval(), expected, "")
    if expected.task == "classification" and _are_probabilities(answers):
        raise UserCodeError(
            f"{expected.reference} ends in a softmax: each row of its answers adds up to 1; return the logits, because "
            "the loss and the exported model put the softmax there."
        )
    _answers(copied.train(), expected, " in training mode")


def _answers(module: nn.Module, expected: Expectation, mode: str) -> Tensor:
    try:
        with forked_generators(), torch.no_grad():
            answers: Any = module(torch.zeros(2, *expected.input_shape))
    except Exception as error:  # as above
        size = "x".join(map(str, expected.input_shape))
        raise UserCodeError(
            f"{expected.reference} fails{mode} on an input of {size} ({error_words(error)})."
        ) from error
    if not isinstance(answers, Tensor):
        raise UserCodeError(
            f"{expected.reference} answers{mode} with a {type(answers).__name__}; expected one tensor: return the main "
            "answer alone, also while it trains."
        )
    shape = tuple(answers.shape)
    if shape != (2, expected.outputs):
        raise DataError(
            f"{expected.reference} answers two inputs{mode} with the shape {shape}, but the data need "
            f"(2, {expected.outputs}): one {'logit a class' if expected.task == 'classification' else 'number a value'}"
        )
    return answers


def _are_probabilities(answers: Tensor) -> bool:
    sums = answers.float().sum(dim=1)
    return bool((answers >= 0).all()) and bool(((sums - 1).abs() < _SUM_TOLERANCE).all())
