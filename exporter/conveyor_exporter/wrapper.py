"""The graph around a network: integer pixels in, probabilities out. Needs torch."""

import torch
from torch import nn

from conveyor_exporter.description import ModelDescription
from conveyor_exporter.model_input import ImageInput, SignalInput


class ImageHead(nn.Module):
    """uint8 [batch, H, W, C] to normalised float32 [batch, C, H, W]."""

    scale: torch.Tensor
    mean: torch.Tensor
    standard_deviation: torch.Tensor

    def __init__(self, model_input: ImageInput) -> None:
        super().__init__()
        self.register_buffer("scale", torch.tensor(model_input.scale, dtype=torch.float32))
        self.register_buffer("mean", _per_channel(model_input.mean, axes_after=2))
        self.register_buffer("standard_deviation", _per_channel(model_input.standard_deviation, axes_after=2))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        # Without contiguous(), an ordinary view() in the network fails to trace, and the error hides the true cause.
        pixels = image.permute(0, 3, 1, 2).contiguous().to(torch.float32)
        return (pixels * self.scale - self.mean) / self.standard_deviation


class SignalHead(nn.Module):
    """float32 [batch, C, L] to the same, normalised."""

    mean: torch.Tensor
    standard_deviation: torch.Tensor

    def __init__(self, model_input: SignalInput) -> None:
        super().__init__()
        self.register_buffer("mean", _per_channel(model_input.mean, axes_after=1))
        self.register_buffer("standard_deviation", _per_channel(model_input.standard_deviation, axes_after=1))

    def forward(self, signal: torch.Tensor) -> torch.Tensor:
        return (signal - self.mean) / self.standard_deviation


class ServingModule(nn.Module):
    """Head, network and, where the network gives logits, a softmax."""

    def __init__(self, network: nn.Module, description: ModelDescription) -> None:
        super().__init__()
        given = description.input
        self.head = ImageHead(given) if isinstance(given, ImageInput) else SignalHead(given)
        self.network = network
        self.adds_softmax = description.adds_softmax

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        answers = self.network(self.head(rows))
        return torch.softmax(answers, dim=1) if self.adds_softmax else answers


def _per_channel(values: tuple[float, ...], axes_after: int) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32).reshape(1, -1, *(1,) * axes_after)
