"""Export a LightningModule: train it as ever with a Trainer, then hand it to Conveyor instead of calling to_onnx.

    python exporter/examples/export_lightning_module.py

Trains a small network on scikit-learn's 8x8 digits with Lightning, then exports it with proof to ./models/lightning.
"""

import sys

import lightning
import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from conveyor_exporter import LabelledRows, ModelDescription, export, image_input
from conveyor_exporter.presentation import export_lines

digits = load_digits()
images = (digits.images * (255 / 16)).round().astype(np.uint8)[..., np.newaxis]  # uint8 [N, H, W, C]
targets = digits.target.astype(np.int64)
order = np.random.default_rng(0).permutation(len(images))
train, test = order[:1400], order[1400:]
MEAN, DEVIATION = 0.3, 0.38  # of pixels in 0..1: what training normalises with, the file must too


class DigitsModel(lightning.LightningModule):
    """An ordinary LightningModule: nothing in it knows of the export."""

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Dropout(0.2),
            nn.Linear(16 * 4 * 4, 10),
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """float32 [N, 1, 8, 8], normalised, to logits."""
        logits: Tensor = self.network(inputs)
        return logits

    def training_step(self, batch: list[Tensor], index: int) -> Tensor:
        """The loss of one batch."""
        inputs, classes = batch
        return nn.functional.cross_entropy(self(inputs), classes)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam for all of it."""
        return torch.optim.Adam(self.parameters(), lr=0.01)


def main() -> None:
    """Train, describe, export. The module may be in training mode still: export works on a copy in eval mode."""
    lightning.seed_everything(0, verbose=False)
    pixels = torch.from_numpy(images[train]).permute(0, 3, 1, 2).float() / 255
    dataset = TensorDataset((pixels - MEAN) / DEVIATION, torch.from_numpy(targets[train]))
    model = DigitsModel()
    trainer = lightning.Trainer(
        max_epochs=4, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False
    )
    trainer.fit(model, DataLoader(dataset, batch_size=64, shuffle=True))
    description = ModelDescription(
        input=image_input((1, 8, 8), mean=(MEAN,), standard_deviation=(DEVIATION,)),  # C, H, W
        labels=tuple(str(digit) for digit in range(10)),
        test=LabelledRows(rows=images[test], targets=targets[test]),
        training=images[train][:512],  # with these, precision="auto" may try int8
    )
    result = export(model, description, "models", "lightning")
    sys.stdout.write("\n".join(export_lines(result.report, result.path)) + "\n")
    sys.stdout.write("\nnext: conveyor serve models\n")


if __name__ == "__main__":
    main()
