"""Regression: values of any scale are learned, measured in their own units, and kept apart from classes."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from conveyor_trainer.architecture import Architecture
from conveyor_trainer.data import Split
from conveyor_trainer.errors import DataError
from conveyor_trainer.evaluate import evaluate_values
from conveyor_trainer.module import build_module
from conveyor_trainer.normalise import Normaliser, measure_normalisation
from conveyor_trainer.run import Run
from conveyor_trainer.train import train
from conveyor_trainer.value_errors import value_errors
from tests.trainer.networks import tiny_settings
from tests.trainer.stopping import train_and_stop

MEANS = """
name: means
input: %s
layers:
  - flatten
  - dense: {units: %s}
"""


@pytest.fixture(scope="module")
def sums(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Signals of 2 x 6 with two values: a thousand times the sum of the first channel, and the second's less 50."""
    signals = np.random.default_rng(0).normal(3, 2, (300, 2, 6)).astype(np.float32)
    values = np.stack([1000 * signals[:, 0].sum(axis=1), signals[:, 1].sum(axis=1) - 50], axis=1)
    path = tmp_path_factory.mktemp("sums") / "sums.npz"
    np.savez(path, x=signals, y=values)
    return path


@pytest.fixture(scope="module")
def run(sums: Path) -> Run:
    return _train(sums.parent, sums, "2x6", "classes", epochs=20, learning_rate=0.02)


def _train(folder: Path, data: Path, input_: str, units: str, **settings: object) -> Run:
    wanted = tiny_settings(folder, data="arrays", data_dir=data, **settings)
    (folder / "tiny.yaml").write_text(MEANS % (input_, units))
    return train(wanted)


def test_values_of_any_scale_are_learned(run: Run) -> None:
    report = run.report
    assert run.task == "regression"
    assert report.r2 is not None
    assert report.r2 > 0.99
    assert (report.accuracy, report.labels, report.confusion_matrix) == (None, (), ())
    assert report.loss < 0.01  # in units of the variance
    assert report.mae is not None
    assert report.rmse is not None
    assert 0 < report.mae < report.rmse < 1000
    assert run.normalisation.scale == 1
    assert run.normalisation.value_mean == pytest.approx((18_000, -32), rel=0.05)


def test_metrics_leave_accuracy_empty(run: Run) -> None:
    rows = list(csv.DictReader((run.folder / "metrics.csv").read_text().splitlines()))
    assert {row["train_accuracy"] for row in rows} == {row["validation_accuracy"] for row in rows} == {""}
    assert float(rows[-1]["validation_loss"]) < float(rows[0]["validation_loss"])


def test_a_run_gives_the_same_figures_again(run: Run) -> None:
    evaluation = evaluate_values(run.load_module(), run.load_data().test, run.normalisation)
    assert evaluation.errors.mae == run.report.mae
    assert evaluation.count == run.report.count == 60
    assert evaluation.predictions.shape == (60, 2)


def test_the_best_epoch_is_that_of_the_lowest_loss(run: Run) -> None:
    rows = list(csv.DictReader((run.folder / "metrics.csv").read_text().splitlines()))
    losses = [float(row["validation_loss"]) for row in rows]
    assert losses[run.report.best_epoch - 1] == min(losses)


def test_a_stopped_run_goes_on_as_if_nothing_had_happened(run: Run, sums: Path, tmp_path: Path) -> None:
    settings = tiny_settings(tmp_path, data="arrays", data_dir=sums, epochs=20, learning_rate=0.02)
    (tmp_path / "tiny.yaml").write_text(MEANS % ("2x6", "classes"))
    train_and_stop(settings, 0.6)
    resumed = train(settings.model_copy(update={"resume": True}))
    assert resumed.digests.weights == run.digests.weights


def test_the_network_ends_in_the_values_own_scale() -> None:
    architecture = Architecture.model_validate(
        {"name": "a", "input": "1x3", "layers": [{"type": "flatten"}, {"type": "dense", "units": 2}]}
    )
    rows, values = np.ones((4, 1, 3), dtype=np.float32), np.array([[0, 5], [10, 5], [0, 5], [10, 5]], dtype=np.float32)
    normalisation = measure_normalisation(Split(rows=rows, targets=values))
    assert (normalisation.value_mean, normalisation.value_standard_deviation) == ((5.0, 5.0), (5.0, 1.0))
    module = build_module(architecture, normalisation)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
        assert module(torch.zeros(1, 1, 3)).tolist() == [[5.0, 5.0]]
    assert Normaliser(normalisation)(torch.from_numpy(rows)).abs().max() == 0  # no spread, no division by it
    assert (rows == 1).all()


def test_errors_of_values() -> None:
    targets = np.array([[0.0], [2.0], [4.0]])
    assert vars(value_errors(targets, targets)) == {"mae": 0, "rmse": 0, "r2": 1}
    always_the_mean = value_errors(np.full((3, 1), 2.0), targets)
    assert always_the_mean.r2 == pytest.approx(0)
    assert always_the_mean.mae == pytest.approx(4 / 3)
    assert always_the_mean.rmse == pytest.approx((8 / 3) ** 0.5)
    assert value_errors(np.array([[1.0]]), np.array([[2.0]])).r2 == 0  # nothing varies, so nothing is explained
    assert value_errors(np.array([[2.0]]), np.array([[2.0]])).r2 == 1


def test_what_does_not_fit_names_both_numbers(sums: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="answers with 3 values, but arrays has 2 values a row: write `units: classes`"):
        _train(tmp_path, sums, "2x6", "3")
    with pytest.raises(DataError, match=r"the signals are 2 x 6, but the architecture takes 2 x 7 \(channels x length"):
        _train(tmp_path, sums, "2x7", "classes")
    with pytest.raises(DataError, match=r"shape \[300, 2\], but a classifier needs one class a row; for values"):
        _train(tmp_path, sums, "2x6", "classes, activation: softmax")
    (tmp_path / "means.yaml").write_text(MEANS % ("8x8x1", "classes"))
    with pytest.raises(DataError, match="digits holds classes, but the architecture answers with values"):
        train(tiny_settings(tmp_path, architecture=str(tmp_path / "means.yaml")))
