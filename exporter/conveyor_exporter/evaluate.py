"""`conveyor evaluate`: the accuracy of a run (PyTorch) or of an exported model (ONNX Runtime) on a data set's split."""

from __future__ import annotations  # the stubs' enum types exist for the type checker only

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from conveyor.v1 import model_pb2
from conveyor_contract.errors import UsageError
from conveyor_contract.model_file import read_model_file
from conveyor_contract.preprocessing import Preprocessor
from conveyor_exporter.errors import ExportError
from conveyor_exporter.session import Session

if TYPE_CHECKING:
    from conveyor_trainer.data import Split

_SMALLEST_PROBABILITY = 1e-12


@dataclass(frozen=True, kw_only=True)
class EvaluationReport:
    """accuracy 0 to 1; loss is the mean cross-entropy; confusion_matrix[true class][answered class]."""

    accuracy: float
    loss: float
    count: int
    confusion_matrix: list[list[int]]
    labels: tuple[str, ...]
    same_data: bool  # whether these are the data that the model was made with

    def to_dict(self) -> dict[str, Any]:
        return {
            "accuracy": self.accuracy,
            "loss": self.loss,
            "count": self.count,
            "confusion_matrix": self.confusion_matrix,
            "labels": list(self.labels),
            "same_data": self.same_data,
        }


def evaluate(model: Path, data: str, data_dir: Path | None, split: str) -> EvaluationReport:
    """Measures a run's folder or an ONNX file that carries a contract. Raises UsageError, ContractError, DataError."""
    if model.is_dir():
        return _evaluate_run(model, data, data_dir, split)
    return _evaluate_onnx(model, data, data_dir, split)


def _evaluate_run(folder: Path, data: str, data_dir: Path | None, split: str) -> EvaluationReport:
    # The trainer, and torch with it, is needed for runs only.
    from conveyor_trainer.data import load_data_set
    from conveyor_trainer.evaluate import evaluate_module
    from conveyor_trainer.run import load_run

    run = load_run(folder)
    same_name = data == run.config.data
    found = load_data_set(
        data,
        data_dir or (run.config.data_dir if same_name else None),
        run.preprocessor,
        seed=run.config.split_seed,
        held_out=run.config.held_out,
    )
    _check_labels(run.labels, found.labels, data)
    rows = _not_empty(found.split(split), data, split)
    result = evaluate_module(run.load_module(), rows, run.normalisation)
    return EvaluationReport(
        accuracy=result.accuracy,
        loss=result.loss,
        count=result.count,
        confusion_matrix=result.confusion_matrix.tolist(),
        labels=run.labels,
        same_data=found.digest == run.digests.data,
    )


def _evaluate_onnx(path: Path, data: str, data_dir: Path | None, split: str) -> EvaluationReport:
    contract = read_model_file(path).verify()
    if contract.task != model_pb2.TASK_CLASSIFICATION or not contract.HasField("preprocessing"):
        raise ExportError(f"{path} is no classifier of images; the data set {data} cannot measure it.")
    if split != "test":
        raise UsageError(
            f"a model file does not hold how its {split} split was drawn; evaluate the run, or --split test."
        )
    from conveyor_trainer.data import load_data_set

    preprocessor = Preprocessor.from_message(contract.preprocessing)
    found = load_data_set(data, data_dir, preprocessor, seed=contract.provenance.split_seed, held_out=0.0)
    _check_labels(tuple(contract.labels), found.labels, data)
    answers = Session(path).run_in_chunks(found.test.images, contract.batching.max_batch_size)
    return _measure(answers, found.test.labels, tuple(contract.labels), found.digest == contract.provenance.data_digest)


def _measure(
    answers: NDArray[np.float32], targets: NDArray[np.int64], labels: tuple[str, ...], same_data: bool
) -> EvaluationReport:
    predictions = answers.argmax(axis=1)
    chosen = answers[np.arange(len(targets)), targets].astype(np.float64)
    confusion = np.zeros((len(labels), len(labels)), dtype=np.int64)
    np.add.at(confusion, (targets, predictions), 1)
    return EvaluationReport(
        accuracy=float((predictions == targets).sum()) / len(targets),
        loss=float(-np.log(np.maximum(chosen, _SMALLEST_PROBABILITY)).mean()),
        count=len(targets),
        confusion_matrix=confusion.tolist(),
        labels=labels,
        same_data=same_data,
    )


def _check_labels(ours: tuple[str, ...], theirs: tuple[str, ...], data: str) -> None:
    if ours != theirs:
        raise ExportError(
            f"the model's {len(ours)} labels ({', '.join(ours[:5])}, ...) are not those of {data} ({len(theirs)}: "
            f"{', '.join(theirs[:5])}, ...); choose the data set that it was trained for."
        )


def _not_empty(rows: Split, data: str, split: str) -> Split:
    if len(rows) == 0:
        raise ExportError(f"the {split} split of {data} is empty: this run held nothing out; choose another split.")
    return rows
