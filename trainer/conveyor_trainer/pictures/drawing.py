"""Every picture of a run, drawn into its folder `pictures`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from conveyor_contract.preprocessing import Preprocessor
from conveyor_trainer.data import DataSet
from conveyor_trainer.evaluate import Evaluation, evaluate_module, evaluate_values
from conveyor_trainer.metrics import read_metrics
from conveyor_trainer.pictures.answers import draw_calibration, draw_confusion_matrix, draw_mistakes, draw_values
from conveyor_trainer.pictures.curves import draw_curves
from conveyor_trainer.pictures.fonts import written
from conveyor_trainer.pictures.layers import draw_class_activation, draw_feature_maps, draw_filters, has_convolutions
from conveyor_trainer.pictures.style import save_figure
from conveyor_trainer.run import Run
from conveyor_trainer.run_files import METRICS_FILE, PICTURE_FOLDER


@dataclass(frozen=True, kw_only=True)
class Picture:
    """What a picture shows, for whoever looks at it."""

    title: str
    caption: str


# In the order in which a report shows them; the name is the file's, without .png.
PICTURES: dict[str, Picture] = {
    "curves": Picture(
        title="How it learned",
        caption="Training figures are of the steps as they went (with dropout, augmentation and smoothing where the "
        "recipe has them), validation figures of the kept weights at the end of each epoch.",
    ),
    "confusion_matrix": Picture(
        title="Which classes it mixes up",
        caption="Test images by true class (line) and answered class (column): right answers blue, wrong ones orange.",
    ),
    "values": Picture(title="How close it comes", caption="Test rows: answered against true; the line is perfection."),
    "mistakes": Picture(
        title="Its worst mistakes",
        caption="The test images whose true class it found least probable: true → answered, and how sure it was.",
    ),
    "calibration": Picture(
        title="How far its confidence can be trusted",
        caption="Left: of the answers given with this confidence, how many are right. On the line, 80 % sure means "
        "right 80 % of the time. Right: how often each confidence occurs.",
    ),
    "filters": Picture(
        title="The first layer's filters",
        caption="One square a filter: what it looks for. Blue adds, red takes away; colour filters in their colours.",
    ),
    "feature_maps": Picture(
        title="What each convolution makes of one image",
        caption="Bright where the filter answers strongly. Layers further down see larger parts in less detail.",
    ),
    "class_activation": Picture(
        title="Where it looks",
        caption="Class activation: bright places of the image speak for the answer that the network gives.",
    ),
}


def draw_pictures(run: Run, data: DataSet) -> tuple[str, ...]:
    """Draws all that fit the run and gives their names. Raises RunError when the disk takes none."""
    folder = run.folder / PICTURE_FOLDER
    folder.mkdir(exist_ok=True)
    names = []
    with written(run.labels) as labels:
        for name, figure in _figures(run, data, labels):
            if figure is not None:
                save_figure(figure, folder / f"{name}.png")
                names.append(name)
    return tuple(names)


def _figures(run: Run, data: DataSet, labels: Sequence[str]) -> Iterator[tuple[str, Figure | None]]:
    module, test = run.load_module(), data.test
    yield "curves", draw_curves(read_metrics(run.folder / METRICS_FILE), run.report.best_epoch)
    if run.task == "regression":
        yield "values", draw_values(evaluate_values(module, test, run.normalisation).predictions, test.targets)
        return
    evaluation = evaluate_module(module, test, run.normalisation)
    yield "confusion_matrix", draw_confusion_matrix(evaluation.confusion_matrix, labels)
    yield "calibration", draw_calibration(evaluation, run.report.calibration_error or 0.0)
    if isinstance(run.input_format, Preprocessor):
        yield "mistakes", draw_mistakes(evaluation, test, labels)
        if has_convolutions(module):
            examples = _one_of_each_class(evaluation)
            rows = test.rows[examples]
            names = [labels[index] for index in evaluation.targets[examples]]
            yield "filters", draw_filters(module)
            yield "feature_maps", draw_feature_maps(module, rows[0], run.normalisation)
            yield "class_activation", draw_class_activation(module, rows, names, run.normalisation)


def _one_of_each_class(evaluation: Evaluation) -> np.ndarray:
    """Indices of test images, one a class, in the order of the classes: rightly answered where there is such a one."""
    right = evaluation.predictions == evaluation.targets
    chosen = []
    for label in np.unique(evaluation.targets):
        members = np.flatnonzero(evaluation.targets == label)
        chosen.append(members[int(np.argmax(right[members]))])
    return np.array(chosen)
