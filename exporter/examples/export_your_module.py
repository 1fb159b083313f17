"""Export a network from your own training code: any torch.nn.Module, no run folder, no Conveyor in the training.

    python exporter/examples/export_your_module.py

Trains a small network on scikit-learn's 8x8 digits in plain PyTorch, then exports it with proof to ./models/digits8x8.
"""

import sys

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

from conveyor_exporter import LabelledRows, ModelDescription, export, image_input
from conveyor_exporter.presentation import export_lines

# Your data: uint8 images [N, H, W, C] as a client will send them. Keep a few hundred that training never sees.
digits = load_digits()
images = (digits.images * (255 / 16)).round().astype(np.uint8)[..., np.newaxis]
targets = digits.target.astype(np.int64)
order = np.random.default_rng(0).permutation(len(images))
train, test = order[:1400], order[1400:]

# What the exported file must know to repeat what training does to pixels: mean and deviation of pixels in 0..1.
mean = float((images[train] / 255).mean())
deviation = float((images[train] / 255).std())


def train_network() -> nn.Module:
    """Your own training, whatever it looks like. The network takes float32 [N, C, H, W] and returns logits."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * 4 * 4, 10),
    )
    pixels = torch.from_numpy(images[train]).permute(0, 3, 1, 2).float() / 255
    inputs, classes = (pixels - mean) / deviation, torch.from_numpy(targets[train])
    optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(40):
        optimiser.zero_grad()
        torch.autograd.backward(nn.functional.cross_entropy(network(inputs), classes))
        optimiser.step()
    return network


def main() -> None:
    """Train, describe, export. Export raises, and writes nothing, if the file would not answer as the network does."""
    description = ModelDescription(
        input=image_input((1, 8, 8), mean=(mean,), standard_deviation=(deviation,)),  # C, H, W
        labels=tuple(str(digit) for digit in range(10)),
        test=LabelledRows(rows=images[test], targets=targets[test]),
    )
    result = export(train_network(), description, "models", "digits8x8")
    sys.stdout.write("\n".join(export_lines(result.report, result.path)) + "\n")
    sys.stdout.write("\nnext: conveyor serve models\n")


if __name__ == "__main__":
    main()
