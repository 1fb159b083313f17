"""What a run leaves to look at: pictures, figures, TensorBoard events and the page."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from conveyor_cli.main import main
from conveyor_trainer.class_figures import calibration_error, class_reports
from conveyor_trainer.errors import RunError
from conveyor_trainer.evaluate import Evaluation
from conveyor_trainer.metrics import read_metrics
from conveyor_trainer.pictures import PICTURES
from conveyor_trainer.pictures.answers import draw_confusion_matrix, draw_mistakes, draw_values
from conveyor_trainer.pictures.layers import draw_class_activation, draw_feature_maps, draw_filters
from conveyor_trainer.pictures.style import save_figure, shortened
from conveyor_trainer.report import Normalisation
from conveyor_trainer.run import Run
from conveyor_trainer.train import train
from tests.trainer.networks import tiny_settings
from tests.trainer.stopping import train_and_stop


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two epochs, stopped in the first and gone on with."""
    settings = tiny_settings(tmp_path_factory.mktemp("run"), epochs=2, batch_size=64, pictures=True, events=True)
    train_and_stop(settings, 0.3)
    return train(settings.model_copy(update={"resume": True}))


def test_a_run_has_its_pictures(run: Run) -> None:
    names = {path.stem for path in (run.folder / "pictures").iterdir()}
    assert names == PICTURES.keys() - {"values"}
    for name in names:
        with Image.open(run.folder / "pictures" / f"{name}.png") as picture:
            pixels = np.asarray(picture.convert("L"))
        assert min(pixels.shape) > 100
        assert pixels.std() > 5, f"{name} is blank"


def test_tensorboard_reads_the_events(run: Run) -> None:
    events = EventAccumulator(str(run.folder / "tensorboard"))
    events.Reload()
    history = read_metrics(run.folder / "metrics.csv")
    for tag, name in (("loss/training", "train_loss"), ("accuracy/validation", "validation_accuracy")):
        scalars = [(event.step, event.value) for event in events.Scalars(tag)]
        assert scalars == [(metrics.epoch, pytest.approx(getattr(metrics, name))) for metrics in history]


def test_report_prints_the_figures_and_writes_one_page(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(run.folder)]) == 0
    out = capsys.readouterr().out
    assert f"{run.report.accuracy:.2%}" in out
    assert "calibration error" in out
    assert "recall" in out
    assert "next: conveyor export" in out
    page = (run.folder / "report.html").read_text()
    assert page.count("data:image/png;base64,") == len(PICTURES) - 1
    assert "http" not in page.replace("http-equiv", "")  # nothing is fetched
    assert run.digests.weights in page


def test_report_as_json_is_the_report(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(run.folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((run.folder / "report.json").read_text())


def test_report_draws_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = train(tiny_settings(tmp_path, batch_size=64))
    assert not (plain.folder / "pictures").exists()
    assert not (plain.folder / "tensorboard").exists()
    assert main(["report", str(plain.folder)]) == 0
    assert (plain.folder / "pictures" / "filters.png").is_file()
    assert main(["report", str(tmp_path)]) == 1
    assert "holds no run" in capsys.readouterr().err


def test_metrics_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("epoch,steps\n1,x\n")
    with pytest.raises(RunError, match=r"cannot read .*metrics.csv"):
        read_metrics(tmp_path / "metrics.csv")


def _evaluation() -> Evaluation:
    """Six rows of three classes: one mistake, and class 2 is never answered."""
    targets = np.array([0, 0, 0, 1, 1, 1])
    highest = np.array([0.9, 0.9, 0.6, 0.8, 0.8, 0.8], dtype=np.float32)
    predictions = np.array([0, 0, 1, 1, 1, 1])
    probabilities = np.repeat((1 - highest)[:, None] / 2, 3, axis=1).astype(np.float32)
    probabilities[np.arange(6), predictions] = highest
    matrix = np.array([[2, 1, 0], [0, 3, 0], [0, 0, 0]])
    return Evaluation(
        accuracy=5 / 6,
        loss=1.0,
        count=6,
        confusion_matrix=matrix,
        targets=targets,
        predictions=predictions,
        probabilities=probabilities,
    )


def test_figures_of_each_class() -> None:
    first, second, third = class_reports(_evaluation(), ("a", "b", "c"))
    assert (first.precision, first.recall, first.count) == pytest.approx((1, 2 / 3, 3))
    assert (second.precision, second.recall, second.f1) == pytest.approx((3 / 4, 1, 6 / 7))
    assert (third.precision, third.recall, third.f1, third.count) == (None, None, None, 0)


def test_calibration_error() -> None:
    # Two answers with 0.9, all right; three with 0.8, all right; one with 0.6, wrong.
    expected = (2 * 0.1 + 3 * 0.2 + 1 * 0.6) / 6
    assert calibration_error(_evaluation()) == pytest.approx(expected, abs=1e-6)


def test_many_classes_with_long_names(tmp_path: Path) -> None:
    matrix = np.diag(np.full(60, 5)) + np.eye(60, k=1, dtype=np.int64)
    figure = draw_confusion_matrix(matrix, [f"a rather long class name {index}" for index in range(60)])
    save_figure(figure, tmp_path / "matrix.png")
    assert (tmp_path / "matrix.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("label", "short"), [("cat", "cat"), ("Siberian tiger", "Siber…iger"), ("a class name 17", "a cla…e 17")]
)
def test_long_names_keep_both_ends(label: str, short: str) -> None:
    assert shortened(label, 10) == short


def test_values(tmp_path: Path) -> None:
    targets = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    save_figure(draw_values(targets + 0.1, targets), tmp_path / "values.png")
    assert (tmp_path / "values.png").stat().st_size > 10_000


def test_nothing_is_drawn_where_there_is_nothing_to_see() -> None:
    from conveyor_trainer.data import Split

    perfect = _evaluation()
    perfect.predictions[2] = 0
    rows = np.zeros((6, 4, 4, 1), dtype=np.uint8)
    assert draw_mistakes(perfect, Split(rows=rows, targets=perfect.targets), ("a", "b", "c")) is None
    pointwise = nn.Sequential(nn.Conv2d(1, 4, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    assert draw_filters(pointwise) is None
    whole = nn.Sequential(nn.Conv2d(1, 4, 4), nn.Flatten(), nn.Linear(4, 3))
    normalisation = Normalisation(mean=(0.5,), standard_deviation=(0.5,))
    assert draw_class_activation(whole, rows, "abcabc", normalisation) is None
    assert draw_feature_maps(whole, rows[0], normalisation) is not None


def test_the_class_activation_is_where_the_answer_comes_from() -> None:
    from conveyor_trainer.pictures.layers import activation_map

    convolution = nn.Conv2d(1, 1, 3, padding=1, bias=False)
    network = nn.Sequential(convolution, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, 2, bias=False))
    for parameter in network.parameters():
        nn.init.constant_(parameter, 1.0)
    row = np.zeros((12, 12, 1), dtype=np.uint8)
    row[2:4, 8:10] = 255
    heat = activation_map(network, row, Normalisation(mean=(0.0,), standard_deviation=(1.0,)))
    assert heat is not None
    assert heat.max() == pytest.approx(1)
    assert heat[1:5, 7:11].sum() == pytest.approx(heat.sum())
    assert all(parameter.grad is None for parameter in network.parameters())
