"""A network for which the model, not the wire, sets the pace: 224x224 in colour, 0.6 G multiply-adds an image."""

from __future__ import annotations

from torch import nn

CHANNELS, DEPTH, CLASSES = 128, 4, 10


def make() -> nn.Module:
    """(batch, 3, 224, 224) to logits; its weights are whatever the seed gives: only its speed matters here."""
    layers: list[nn.Module] = []
    for taken, given in ((3, 32), (32, 64), (64, CHANNELS)):
        layers += [nn.Conv2d(taken, given, 3, stride=2, padding=1), nn.ReLU()]
    for _ in range(DEPTH):
        layers += [nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(CHANNELS, CLASSES))
