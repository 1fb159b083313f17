"""A training that runs away ends with an error, keeps nothing spoiled and promises nothing that is not there."""

import json
from pathlib import Path

import pytest
import torch

from conveyor_trainer.errors import TrainerError
from conveyor_trainer.evaluate import Validation
from conveyor_trainer.fit import fit
from conveyor_trainer.job import Job
from conveyor_trainer.learner import Learner
from conveyor_trainer.prepare import prepare
from conveyor_trainer.processes import training_processes
from conveyor_trainer.progress import TrainingProgress
from conveyor_trainer.run import load_run
from conveyor_trainer.run_files import report_text
from conveyor_trainer.run_folder import claim_folder
from conveyor_trainer.settings import TrainSettings
from conveyor_trainer.train import train
from conveyor_trainer.weights import read_tensors
from tests.trainer.networks import tiny_settings
from tests.trainer.stopping import StopAfter

ALL_ROWS = 1151  # of digits, without those that validate and test
NO_CHECKPOINT = "no checkpoint was written yet; start again with a lower learning rate"


def _files(settings: TrainSettings) -> list[str]:
    return [path.name for path in (settings.run / "checkpoints").iterdir()]


def _fit(settings: TrainSettings, stop: StopAfter) -> None:
    job = prepare(settings)
    claim_folder(settings, job)
    with training_processes() as accelerator, TrainingProgress(job) as progress:
        fit(job, accelerator, progress, stop)


def test_a_loss_that_is_no_number(tmp_path: Path) -> None:
    settings = tiny_settings(tmp_path, batch_size=200, learning_rate=1e30)
    with pytest.raises(TrainerError, match=rf"the loss became (nan|inf) in epoch 1 at step \d+: {NO_CHECKPOINT}"):
        train(settings)
    assert not _files(settings)


@pytest.mark.parametrize("held_out", [0.2, 0.0])
def test_the_last_step_of_an_epoch_ruins_the_network(tmp_path: Path, held_out: float) -> None:
    (tmp_path / "mine.yaml").write_text(f"held_out: {held_out}\n")
    rows = ALL_ROWS if held_out else 1438
    settings = tiny_settings(tmp_path, recipe=str(tmp_path / "mine.yaml"), batch_size=rows, learning_rate=1e30)
    with pytest.raises(TrainerError, match=rf" became .* in epoch 1 at step 1: {NO_CHECKPOINT}"):
        train(settings)
    assert not _files(settings)
    assert not (settings.run / "report.json").exists()


def test_stopping_after_such_a_step_saves_nothing(tmp_path: Path) -> None:
    settings = tiny_settings(tmp_path, epochs=2, batch_size=600, learning_rate=1e30)
    with pytest.raises(TrainerError, match=f" became .* in epoch 1 at step 1: {NO_CHECKPOINT}"):
        _fit(settings, StopAfter(1))
    assert not _files(settings)


def test_a_good_checkpoint_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rate leaps in the second epoch."""
    monkeypatch.setattr(Job, "learning_rate", lambda _, step: 0.001 if step == 0 else 1e30)
    settings = tiny_settings(tmp_path, epochs=2, batch_size=ALL_ROWS)
    with pytest.raises(TrainerError, match=r"in epoch 2 at step 1: the checkpoint from before is kept, but --resume"):
        train(settings)
    assert sorted(_files(settings)) == ["best.safetensors", "last.safetensors"]
    for name in _files(settings):
        tensors, _ = read_tensors(settings.run / "checkpoints" / name)
        assert all(bool(torch.isfinite(tensor).all()) and tensor.abs().max() < 1e6 for tensor in tensors.values())


def test_a_validation_loss_that_is_no_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the weights are sound, but one of the rows is too much for them."""
    settings = tiny_settings(tmp_path, batch_size=ALL_ROWS)
    monkeypatch.setattr("conveyor_trainer.fit.validate", lambda *_: Validation(loss=float("inf"), accuracy=0.5))
    with pytest.raises(TrainerError, match="the validation loss became inf in epoch 1"):
        train(settings)
    assert not _files(settings)


def test_a_report_holds_numbers_only(tmp_path: Path) -> None:
    report = load_run(train(tiny_settings(tmp_path, batch_size=ALL_ROWS)).folder).report
    assert json.loads(report_text(report))["loss"] == report.loss
    with pytest.raises(TrainerError, match="a figure of the test split is infinite or no number"):
        report_text(report.model_copy(update={"loss": float("nan")}))


def test_the_average_is_looked_at_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.yaml").write_text("ema_decay: 0.9\n")
    settings = tiny_settings(tmp_path, recipe=str(tmp_path / "mine.yaml"), batch_size=ALL_ROWS)
    take_average = Learner.average_weights

    def spoil(learner: Learner, steps: int) -> None:
        take_average(learner, steps)
        for parameter in learner.kept.parameters():
            parameter.data.fill_(torch.inf)

    monkeypatch.setattr(Learner, "average_weights", spoil)
    with pytest.raises(TrainerError, match="weights became infinite or no numbers in epoch 1"):
        train(settings)
    assert not _files(settings)
