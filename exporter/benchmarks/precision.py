"""int8 for real: a network where it pays and one where it does not, trained, exported and measured on this machine.

    python exporter/benchmarks/precision.py

Both are trained for a minute on scikit-learn's digits, scaled up to 32 x 32. Exits with 1 when the gate decides
otherwise than expected, or the first network gains less than 1.5 times at a batch of 8 or more.
"""

import sys
import tempfile

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from torch import nn

from conveyor_exporter import ExportOptions, LabelledRows, ModelDescription, RejectedError, export, image_input
from conveyor_exporter.comparison_table import comparison_lines
from conveyor_exporter.precision.gate import Comparison

TRAINING_ROWS = 800
EPOCHS = 8
MEAN, DEVIATION = 0.3, 0.38  # of pixels in 0..1


def wide() -> nn.Module:
    """Ordinary convolutions of 32 to 128 channels: nearly all of its time is multiplication."""

    def block(inputs: int, outputs: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU())

    return nn.Sequential(
        *(block(1, 32), block(32, 64), nn.MaxPool2d(2), block(64, 64), nn.MaxPool2d(2), block(64, 128)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10)),
    )


def depthwise() -> nn.Module:
    """Depthwise convolutions and hard swishes: nearly all of its time is moving numbers about."""

    def block(inputs: int, outputs: int) -> nn.Module:
        return nn.Sequential(
            *(nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs), nn.BatchNorm2d(inputs), nn.Hardswish()),
            *(nn.Conv2d(inputs, outputs, 1), nn.BatchNorm2d(outputs), nn.Hardswish()),
        )

    return nn.Sequential(
        *(nn.Conv2d(1, 16, 3, stride=2, padding=1), nn.Hardswish(), block(16, 32), nn.MaxPool2d(2), block(32, 64)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)),
    )


def data() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """uint8 [N, 32, 32, 1] and classes, in a fixed order of their own."""
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.images))
    small = torch.from_numpy(digits.images[order]).float().unsqueeze(1) * (255 / 16)
    images = nn.functional.interpolate(small, (32, 32), mode="bilinear", antialias=True)
    return images.round().to(torch.uint8).permute(0, 2, 3, 1).numpy(), digits.target[order].astype(np.int64)


def train(network: nn.Module, images: NDArray[np.uint8], targets: NDArray[np.int64]) -> None:
    """A few epochs of Adam on shifted images."""
    inputs = (torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255 - MEAN) / DEVIATION
    classes = torch.from_numpy(targets)
    optimiser = torch.optim.Adam(network.parameters(), lr=0.003)
    for _ in range(EPOCHS):
        for chosen in torch.split(torch.randperm(len(inputs)), 50):
            down, right = torch.randint(-3, 4, (2,)).tolist()
            batch = inputs[chosen].roll((down, right), dims=(2, 3))
            optimiser.zero_grad()
            torch.autograd.backward(nn.functional.cross_entropy(network(batch), classes[chosen]))
            optimiser.step()


def measure(network: nn.Module, folder: str, name: str) -> tuple[Comparison, float]:
    """Trains and exports in int8; prints the table. Returns int8's line and its least gain at batches of 8 or more."""
    images, targets = data()
    train(network, images[:TRAINING_ROWS], targets[:TRAINING_ROWS])
    description = ModelDescription(
        input=image_input((1, 32, 32), mean=(MEAN,), standard_deviation=(DEVIATION,)),
        test=LabelledRows(rows=images[TRAINING_ROWS:], targets=targets[TRAINING_ROWS:]),
        training=images[:512],
    )
    try:
        report = export(network, description, folder, name, options=ExportOptions(precision="int8")).report
    except RejectedError as refusal:
        report = refusal.report
    sys.stdout.write("\n".join([name, *comparison_lines(report.comparisons)]) + "\n\n")
    fp32, int8 = report.comparisons
    assert fp32.figures is not None
    assert int8.figures is not None
    gains = [fp32.figures.p50_ms[size] / ms for size, ms in int8.figures.p50_ms.items() if size >= 8]
    return int8, min(gains)


def main() -> int:
    """0 when int8 is kept for the one network and refused for the other."""
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        (pays, gain), (costs, _) = measure(wide(), folder, "wide"), measure(depthwise(), folder, "depthwise")
    return 0 if pays.decision.kept and gain >= 1.5 and not costs.decision.kept else 1


if __name__ == "__main__":
    sys.exit(main())
