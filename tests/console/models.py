"""A model of real digits, made in a second without PyTorch: a linear classifier whose contract is as exported."""

from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from conveyor.v1 import model_pb2
from conveyor_contract.model_file import write_contract
from conveyor_contract.preprocessing import Preprocessor
from tests.models import tiny_contract, tiny_golden, tiny_graph

SIDE = 28


def write_digits_model(repository: Path, version: int = 1) -> Path:
    """Writes REPOSITORY/digits/VERSION/model.onnx: 28x28 grey, light on dark."""
    rows, classes = digit_rows()
    fitted = LogisticRegression(C=0.05, fit_intercept=False, max_iter=200).fit(
        rows.reshape(len(rows), -1) / 255, classes
    )
    weights = fitted.coef_.T.astype(np.float32)
    graph = tiny_graph(weights, (SIDE, SIDE, 1)).SerializeToString()
    preprocessor = Preprocessor(height=SIDE, width=SIDE, colour_mode=model_pb2.COLOUR_MODE_GRAYSCALE)
    contract = tiny_contract("digits", 10, preprocessor, max_batch_size=32)
    contract.labels[:] = [str(digit) for digit in range(10)]
    contract.training_statistics.CopyFrom(
        model_pb2.TrainingStatistics(
            input_mean=[rows.mean() / 255],
            input_standard_deviation=[rows.std() / 255],
            class_frequencies=(np.bincount(classes) / len(classes)).tolist(),
        )
    )
    figures = {"max_difference": 2.4e-7, "rows": 359.0}
    contract.evidence.checks.add(name="parity_real", ok=True, detail="on real rows within 2.4e-07", figures=figures)
    contract.evidence.checks.add(name="loads", ok=True, detail="ONNX Runtime loads it")
    golden = tiny_golden(graph, weights, rows[:3])
    for sample in golden.samples:
        sample.label = sample.label.removeprefix("class ")
    target = repository / "digits" / str(version) / "model.onnx"
    target.parent.mkdir(parents=True)
    write_contract(graph, target, contract, golden)
    return target


def digit_rows() -> tuple[np.ndarray, np.ndarray]:
    """Real digits, uint8 (n, 28, 28, 1), light on dark, and their classes."""
    bunch = load_digits()
    images = [
        Image.fromarray((pixels * 255 / 16).astype(np.uint8)).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        for pixels in bunch.images
    ]
    return np.stack([np.asarray(image) for image in images])[..., np.newaxis], bunch.target
