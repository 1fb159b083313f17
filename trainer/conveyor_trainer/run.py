"""A run: the folder that training leaves behind, read back for evaluation and export.

config.yaml          what was asked for: data set, recipe, seeds (RunConfig)
architecture.yaml    the layers, with the number of classes filled in
weights.safetensors  the chosen weights
metrics.csv          one line an epoch
report.json          results, digests, statistics, versions (RunReport)
report.html          the same with the pictures, once `conveyor report` has written it
pictures/            curves, confusion matrix, mistakes, filters, feature maps, ...
tensorboard/         events of each epoch
checkpoints/         the state to resume from
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from conveyor_trainer.config import RunConfig
from conveyor_trainer.input_format import InputFormat
from conveyor_trainer.network import Network, build_network
from conveyor_trainer.report import Digests, Normalisation, RunReport, Statistics
from conveyor_trainer.run_files import WEIGHTS_FILE, check_unchanged, read_run_files
from conveyor_trainer.task import Task

if TYPE_CHECKING:
    from torch import nn

    from conveyor_trainer.data import DataRequest, DataSet


@dataclass(frozen=True, kw_only=True)
class Run:
    """A finished run. Digests read "sha256:<hex>" and leave paths out."""

    folder: Path
    config: RunConfig  # .data (name), .split_seed, .held_out, .seed, .recipe, ...
    architecture: Network  # an Architecture, or a UserModule that took its place
    labels: tuple[str, ...]  # in the order of the module's outputs; empty for regression
    task: Task
    input_format: InputFormat  # a Preprocessor for images, a SignalFormat for signals
    normalisation: Normalisation  # .mean, .standard_deviation (per channel, of pixels in 0..1), .scale (1/255)
    digests: Digests  # .weights, .architecture, .data, .configuration
    source_revision: str  # the git commit of the code that trained, or ""
    statistics: Statistics  # .input_mean, .input_standard_deviation, .class_frequencies, .confidence_histogram
    report: RunReport  # .accuracy, .loss, .count, .confusion_matrix of the test split, .versions, ...

    def load_module(self) -> nn.Module:
        """The trained network on the CPU in eval mode: normalised float32 N x C x ... to logits, or to values.

        Raises RunError when the network or the weights are not those of the training.
        """
        from conveyor_trainer.weights import read_weights

        check_unchanged(self.folder, self.architecture, self.digests)
        module = build_network(self.architecture)
        read_weights(self.folder / WEIGHTS_FILE, module, expected_digest=self.digests.weights)
        return module.eval()

    def load_data(self, data_dir: Path | None = None) -> DataSet:
        """The same splits that the run was trained with; `data_dir` overrides where the files are.

        Raises DataError when the files are absent. Other files give another `.digest`: compare with `.digests.data`.
        """
        from conveyor_trainer.data import load_data_set

        return load_data_set(self.data_request(data_dir))

    def data_request(self, data_dir: Path | None = None) -> DataRequest:
        """What the run asked of its data set."""
        return self.config.data_request(self.architecture, data_dir)

    @property
    def next_command(self) -> str:
        """What a user would type next."""
        return f"conveyor export {self.folder} --to models --name {self.architecture.name}"


def load_run(folder: Path | str) -> Run:
    """Reads a finished run. Raises RunError when the folder holds none, or an unfinished or damaged one."""
    folder = Path(folder)
    config, architecture, report = read_run_files(folder)
    return Run(
        folder=folder,
        config=config,
        architecture=architecture,
        labels=report.labels,
        task=architecture.task,
        input_format=architecture.input_format,
        normalisation=report.normalisation,
        digests=report.digests,
        source_revision=report.source_revision,
        statistics=report.statistics,
        report=report,
    )
