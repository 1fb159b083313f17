"""The network of `gpu_check.py`, in a file of its own because the exporter imports it by name."""

from __future__ import annotations

from torch import nn

SIDE, CHANNELS, CLASSES = 64, 3, 10


def make() -> nn.Module:
    """(batch, 3, 64, 64) to logits: convolutions and little else."""
    layers: list[nn.Module] = []
    for taken, given in ((CHANNELS, 32), (32, 64), (64, 128)):
        layers += [nn.Conv2d(taken, given, 3, padding=1), nn.BatchNorm2d(given), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, CLASSES)).eval()
