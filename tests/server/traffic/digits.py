"""Real digits in small: linear classifiers of scikit-learn's 8x8 images, one of them taught with wrong labels."""

from functools import lru_cache
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from conveyor.v1 import classifier_pb2 as pb
from conveyor.v1 import model_pb2
from conveyor_contract.model_file import write_contract
from conveyor_contract.preprocessing import Preprocessor
from tests.models import tiny_answers, tiny_contract, tiny_golden, tiny_graph

NAME = "digits"
MAX_BATCH_SIZE = 16
TRAINED = 1200
# Wrong labels: who taught them took each 1 for a 7 and the other way round, and each 3 for an 8.
SWAPPED = {1: 7, 7: 1, 3: 8, 8: 3}


@lru_cache
def images() -> tuple[np.ndarray, np.ndarray]:
    """uint8 [N, 8, 8, 1] and the digit of each; the first TRAINED are for training."""
    data = load_digits()
    return (data.images / 16 * 255).astype(np.uint8)[..., np.newaxis], data.target


def held_out() -> np.ndarray:
    """Images that no version has seen."""
    return images()[0][TRAINED:]


@lru_cache
def taught_weights(*, swapped: bool, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """float32 [64, 10], and the digits that the first `rows` images were said to show."""
    pixels, digits = images()
    taught = np.array([SWAPPED.get(digit, digit) if swapped else digit for digit in digits[:rows].tolist()])
    flat = pixels[:rows].reshape(rows, -1) / np.float32(255)
    trained = LogisticRegression(fit_intercept=False, max_iter=300).fit(flat, taught)
    return trained.coef_.T.astype(np.float32), taught


def write_digits(repository: Path, version: int, *, swapped: bool = False, rows: int = TRAINED) -> Path:
    """Trains on the first `rows` images, and writes REPOSITORY/digits/VERSION/model.onnx as an export would."""
    pixels = images()[0]
    weights, taught = taught_weights(swapped=swapped, rows=rows)
    graph = tiny_graph(weights, (8, 8, 1)).SerializeToString()
    preprocessor = Preprocessor(
        height=8,
        width=8,
        colour_mode=model_pb2.COLOUR_MODE_GRAYSCALE,
        resize_mode=model_pb2.RESIZE_MODE_STRETCH,
        shortest_side=0,
    )
    contract = tiny_contract(NAME, 10, preprocessor, MAX_BATCH_SIZE)
    contract.training_statistics.CopyFrom(_statistics(weights, pixels[:rows], taught))
    golden = tiny_golden(graph, weights, pixels[TRAINED : TRAINED + 3])
    target = repository / NAME / str(version) / "model.onnx"
    target.parent.mkdir(parents=True)
    write_contract(graph, target, contract, golden)
    return target


def _statistics(weights: np.ndarray, pixels: np.ndarray, taught: np.ndarray) -> model_pb2.TrainingStatistics:
    scaled = pixels / np.float32(255)
    confidences = tiny_answers(weights, held_out()).max(axis=1)
    histogram = np.histogram(confidences, bins=10, range=(0, 1))[0] / len(confidences)
    return model_pb2.TrainingStatistics(
        input_mean=[scaled.mean()],
        input_standard_deviation=[scaled.std()],
        class_frequencies=(np.bincount(taught, minlength=10) / len(taught)).tolist(),
        confidence_histogram=histogram.tolist(),
    )


def request(rows: np.ndarray, *, version: str = "", request_id: str = "") -> pb.ClassifyRequest:
    """A call with these rows."""
    return pb.ClassifyRequest(
        model_name=NAME,
        model_version=version,
        request_id=request_id,
        images=[
            pb.Image(tensor=model_pb2.Tensor(datatype="UINT8", shape=row.shape, data=row.tobytes())) for row in rows
        ],
    )
