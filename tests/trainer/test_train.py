"""Training: it learns, gives the same weights for the same seed, can be stopped and resumed, and guards its folder."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from conveyor_trainer.data.split import Split
from conveyor_trainer.errors import DataError, RunError
from conveyor_trainer.evaluate import evaluate_module, rows_at_a_time
from conveyor_trainer.normalise import Normaliser, measure_normalisation
from conveyor_trainer.report import Normalisation
from conveyor_trainer.run import Run, load_run
from conveyor_trainer.train import train
from tests.trainer.networks import TINY, accuracy_of, tiny_settings
from tests.trainer.stopping import metrics_of


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(tiny_settings(tmp_path_factory.mktemp("trained"), epochs=2))


def test_it_learns(run: Run) -> None:
    assert accuracy_of(run) > 0.9
    assert run.report.count == 359
    assert sum(map(sum, run.report.confusion_matrix)) == 359
    right = sum(run.report.confusion_matrix[i][i] for i in range(10))
    assert right / 359 == run.report.accuracy


def test_the_run_folder_tells_everything(run: Run) -> None:
    again = load_run(run.folder)
    assert again.labels == tuple("0123456789")
    assert again.task == "classification"
    assert again.input_format.row_shape == (12, 12, 1)
    rows = metrics_of(run.folder)
    assert [row["epoch"] for row in rows] == ["1", "2"]
    data = again.load_data()
    assert data.digest == again.digests.data
    evaluation = evaluate_module(again.load_module(), data.test, again.normalisation)
    assert evaluation.accuracy == run.report.accuracy
    assert sum(again.statistics.class_frequencies) == pytest.approx(1)
    assert sum(again.statistics.confidence_histogram) == pytest.approx(1)
    assert again.statistics.input_mean == pytest.approx((float(np.asarray(data.train.rows).mean() / 255),))
    assert str(run.folder) in again.next_command
    assert "data_dir" not in json.loads((run.folder / "report.json").read_text())


def test_the_same_seed_gives_the_same_weights(run: Run, tmp_path: Path) -> None:
    same = train(tiny_settings(tmp_path, epochs=2))
    other = train(tiny_settings(tmp_path, epochs=2, seed=1, run=tmp_path / "other"))
    assert same.digests == run.digests
    assert other.digests.weights != run.digests.weights
    assert other.digests.data == run.digests.data


def test_a_taken_folder_is_left_alone(run: Run) -> None:
    settings = tiny_settings(run.folder.parent, epochs=2)
    with pytest.raises(RunError, match="already holds a run: --resume .* --force"):
        train(settings)
    assert train(settings.model_copy(update={"resume": True})).digests == run.digests  # finished: nothing to do
    with pytest.raises(RunError, match=r"was started with seed 0 \(now 5\)"):
        train(settings.model_copy(update={"resume": True, "seed": 5}))


def test_force_replaces_a_run(tmp_path: Path) -> None:
    settings = tiny_settings(tmp_path, force=True)
    first = train(settings)
    second = train(settings.model_copy(update={"seed": 3}))
    assert first.digests.weights != second.digests.weights


def test_resume_needs_a_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="holds no run"):
        train(tiny_settings(tmp_path, resume=True))


def test_an_architecture_for_other_classes(tmp_path: Path) -> None:
    settings = tiny_settings(tmp_path)
    (tmp_path / "tiny.yaml").write_text(TINY.replace("units: classes", "units: 7"))
    with pytest.raises(DataError, match="answers with 7 values, but digits has 10 classes"):
        train(settings)
    assert not settings.run.exists()


def test_changed_weights_are_noticed(tmp_path: Path) -> None:
    run = train(tiny_settings(tmp_path))
    path = run.folder / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(RunError, match="not those of the run's report"):
        run.load_module()
    path.write_bytes(b"")
    with pytest.raises(RunError, match="cannot read the weights"):
        run.load_module()


def test_evaluation_of_a_known_module() -> None:
    class Brightest(nn.Module):
        """Answers with the brightest of the four pixels."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            assert not self.training
            return x.flatten(1)

    images = np.zeros((5, 2, 2, 1), dtype=np.uint8)
    for index, pixel in enumerate([0, 1, 2, 3, 3]):
        images[index].reshape(-1)[pixel] = 255
    split = Split(rows=images, targets=np.array([0, 1, 2, 3, 0]))
    module = Brightest()
    evaluation = evaluate_module(module, split, Normalisation(mean=(0.0,), standard_deviation=(1.0,)))
    assert evaluation.accuracy == 0.8
    assert evaluation.confusion_matrix.tolist() == [[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    assert evaluation.predictions.tolist() == [0, 1, 2, 3, 3]
    assert evaluation.confidences == pytest.approx(np.full(5, np.e / (np.e + 3)))
    assert module.training


def test_large_images_are_evaluated_fewer_at_a_time() -> None:
    assert rows_at_a_time((28, 28, 1)) == 500
    assert rows_at_a_time((224, 224, 3)) == 27
    assert rows_at_a_time((4000, 4000, 3)) == 1


def test_normalisation_gives_mean_zero_and_deviation_one() -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, 6, 5, 3), dtype=np.uint8)
    inputs = Normaliser(measure_normalisation(Split(rows=images, targets=np.zeros(20, dtype=np.int64))))(
        torch.from_numpy(images)
    )
    assert inputs.shape == (20, 3, 6, 5)
    assert inputs.is_contiguous()
    assert inputs.mean(dim=(0, 2, 3)) == pytest.approx([0, 0, 0], abs=1e-5)
    assert inputs.std(dim=(0, 2, 3), correction=0) == pytest.approx([1, 1, 1], abs=1e-5)
