"""What can be trained: an architecture, or a network from the user's own code. Both know their input, task and name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor_trainer.architecture import Architecture
from conveyor_trainer.report import Normalisation
from conveyor_trainer.user_module import UserModule

if TYPE_CHECKING:
    from torch import nn

Network = Architecture | UserModule


def build_network(network: Network, normalisation: Normalisation | None = None) -> nn.Module:
    """A fresh network from PyTorch's global generator: normalised float32 N x C x ... to logits, or to values."""
    if isinstance(network, UserModule):
        return network.build(normalisation)
    from conveyor_trainer.module import build_module

    return build_module(network, normalisation)
