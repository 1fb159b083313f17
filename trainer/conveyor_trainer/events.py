"""TensorBoard events: the figures of each epoch, for whoever watches with `tensorboard --logdir`."""

from __future__ import annotations

from pathlib import Path

from conveyor_trainer.metrics import EpochMetrics


class EventWriter:
    """Writes beside what an earlier, stopped training wrote."""

    def __init__(self, folder: Path) -> None:
        # Here, not above: whoever evaluates or exports a run needs no TensorBoard.
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder))

    def write(self, metrics: EpochMetrics) -> None:
        """One epoch; on the disk when this returns."""
        scalars = {
            "loss/training": metrics.train_loss,
            "loss/validation": metrics.validation_loss,
            "accuracy/training": metrics.train_accuracy,
            "accuracy/validation": metrics.validation_accuracy,
            "learning_rate": metrics.learning_rate,
            "images_per_second": metrics.images_per_second,
        }
        for name, value in scalars.items():
            if value is not None:
                self._writer.add_scalar(name, value, metrics.epoch)
        self._writer.flush()

    def close(self) -> None:
        """Nothing can be written afterwards."""
        self._writer.close()
