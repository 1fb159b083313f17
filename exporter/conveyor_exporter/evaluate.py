"""`conveyor evaluate`: how good a run (PyTorch) or an exported model (ONNX Runtime) is on a data set's split."""

from __future__ import annotations  # the stubs' enum types exist for the type checker only

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from conveyor.v1 import model_pb2
from conveyor_contract.contract import row_shape_of
from conveyor_contract.errors import UsageError
from conveyor_contract.model_file import read_model_file
from conveyor_contract.preprocessing import Preprocessor
from conveyor_exporter.data_labels import check_labels
from conveyor_exporter.errors import ExportError
from conveyor_exporter.session import Session

if TYPE_CHECKING:
    from conveyor_trainer.data import DataSet, Split
    from conveyor_trainer.input_format import InputFormat
    from conveyor_trainer.value_errors import ValueErrors

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


@dataclass(frozen=True, kw_only=True)
class ValuesReport:
    """Of a regression: errors in the values' own units, and r2."""

    errors: ValueErrors
    count: int
    same_data: bool

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self.errors), "count": self.count, "same_data": self.same_data}


@dataclass(frozen=True, kw_only=True)
class EvaluationRequest:
    """Which data to measure on; without `data_dir`, where the run had them."""

    data: str
    data_dir: Path | None = None
    split: str = "test"
    skip_unreadable: bool = False


def evaluate(model: Path, request: EvaluationRequest) -> EvaluationReport | ValuesReport:
    """Measures a run's folder or an ONNX file that carries a contract. Raises UsageError, ContractError, DataError."""
    return _evaluate_run(model, request) if model.is_dir() else _evaluate_onnx(model, request)


def _evaluate_run(folder: Path, request: EvaluationRequest) -> EvaluationReport | ValuesReport:
    # The trainer, and torch with it, is needed for runs only.
    from conveyor_trainer.data import load_data_set
    from conveyor_trainer.evaluate import evaluate_module, evaluate_values
    from conveyor_trainer.run import load_run

    run = load_run(folder)
    asked = run.data_request(request.data_dir)
    if request.data != asked.name:
        asked = replace(asked, name=request.data, folder=request.data_dir)
    data = load_data_set(replace(asked, skip_unreadable=asked.skip_unreadable or request.skip_unreadable))
    split = _not_empty(data.split(request.split), request)
    same_data = data.digest == run.digests.data
    if run.task == "regression":
        _check_values(len(run.normalisation.value_mean), data)
        values = evaluate_values(run.load_module(), split, run.normalisation)
        return ValuesReport(errors=values.errors, count=values.count, same_data=same_data)
    check_labels(run.labels, data)
    result = evaluate_module(run.load_module(), split, run.normalisation)
    return EvaluationReport(
        accuracy=result.accuracy,
        loss=result.loss,
        count=result.count,
        confusion_matrix=result.confusion_matrix.tolist(),
        labels=run.labels,
        same_data=same_data,
    )


def _evaluate_onnx(path: Path, request: EvaluationRequest) -> EvaluationReport | ValuesReport:
    contract = read_model_file(path).verify()
    if request.split != "test" and not contract.provenance.data_set:
        raise UsageError(f"{path} was exported without a run, so it holds no {request.split} split; use --split test.")
    from conveyor_trainer.data import DataRequest, load_data_set
    from conveyor_trainer.value_errors import value_errors

    is_regression = contract.task == model_pb2.TASK_REGRESSION
    data = load_data_set(
        DataRequest(
            name=request.data,
            folder=request.data_dir,
            input_format=_input_format_of(contract),
            task="regression" if is_regression else "classification",
            split_seed=contract.provenance.split_seed,
            held_out=contract.provenance.held_out,
            skip_unreadable=request.skip_unreadable,
        )
    )
    split = _not_empty(data.split(request.split), request)
    answers = Session(path).run_in_chunks(np.asarray(split.rows), contract.batching.max_batch_size)
    same_data = data.digest == contract.provenance.data_digest
    if is_regression:
        _check_values(answers.shape[1], data)
        return ValuesReport(errors=value_errors(answers, split.targets), count=len(answers), same_data=same_data)
    check_labels(tuple(contract.labels), data)
    return _measure(answers, split.targets, tuple(contract.labels), same_data)


def _input_format_of(contract: model_pb2.ModelContract) -> InputFormat:
    """What the model takes, as data sets know it."""
    from conveyor_trainer.input_format import SignalFormat

    if contract.HasField("preprocessing"):
        return Preprocessor.from_message(contract.preprocessing)
    shape = row_shape_of(contract.inputs[0])
    if contract.inputs[0].meaning != model_pb2.MEANING_SIGNAL or len(shape) != 2:
        raise ExportError(
            f"{contract.model_name} takes tensors of {list(shape)}, neither images nor signals: no data set fits."
        )
    return SignalFormat(channels=shape[0], length=shape[1])


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


def _check_values(ours: int, data: DataSet) -> None:
    if ours != data.outputs:
        raise ExportError(
            f"the model answers with {ours} values, {data.name} has {data.outputs} a row; choose the data "
            "set that it was trained for."
        )


def _not_empty(split: Split, request: EvaluationRequest) -> Split:
    if len(split) == 0:
        raise ExportError(
            f"the {request.split} split of {request.data} is empty: this run held nothing out; choose another split."
        )
    return split
