"""Models made in a second without PyTorch: of real digits, a linear classifier whose contract is as exported; and
one whose head is global pooling and a dense layer.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from conveyor.v1 import model_pb2
from conveyor_contract.model_file import write_contract
from conveyor_contract.preprocessing import Preprocessor
from tests.models import IR_VERSION, OPSET, tiny_contract, tiny_golden, tiny_graph

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


def write_wordy_model(repository: Path) -> Path:
    """Writes a model with a long name and 1,000 long labels, which differ at their ends."""
    name = "birds_of_the_northern_lowlands_and_of_the_islands_before_the_coast"
    labels = [f"Great black-backed gull of the outer islands, in its plumage number {index}" for index in range(1000)]
    generator = np.random.default_rng(4)
    weights = generator.normal(0, 0.5, (64, len(labels))).astype(np.float32)
    graph = tiny_graph(weights, (8, 8, 1)).SerializeToString()
    preprocessor = Preprocessor(height=8, width=8, colour_mode=model_pb2.COLOUR_MODE_GRAYSCALE)
    contract = tiny_contract(name, len(labels), preprocessor, max_batch_size=8)
    contract.labels[:] = labels
    golden = tiny_golden(graph, weights, generator.integers(0, 256, (3, 8, 8, 1), dtype=np.uint8))
    for sample in golden.samples:
        sample.label = labels[sample.label_index]
    target = repository / name / "1" / "model.onnx"
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


def write_pooled_model(repository: Path) -> Path:
    """Writes REPOSITORY/pooled/1/model.onnx: 8x8 grey, 4x4 maps of 2 channels, global pooling, 3 classes."""
    generator = np.random.default_rng(8)
    kernels = generator.normal(0, 1, (2, 1, 2, 2)).astype(np.float32)
    dense = generator.normal(0, 8, (3, 2)).astype(np.float32)
    graph = pooled_graph(kernels, dense).SerializeToString()
    # Without an activation, convolution and pooling are one product: what each pixel adds to each class.
    pixels = np.einsum("cij,kc->ijk", kernels[:, 0], dense) / 16
    weights = np.tile(pixels, (4, 4, 1)).reshape(64, 3).astype(np.float32)
    preprocessor = Preprocessor(height=8, width=8, colour_mode=model_pb2.COLOUR_MODE_GRAYSCALE)
    rows = generator.integers(0, 256, (3, 8, 8, 1), dtype=np.uint8)
    target = repository / "pooled" / "1" / "model.onnx"
    target.parent.mkdir(parents=True)
    contract = tiny_contract("pooled", 3, preprocessor, max_batch_size=8)
    write_contract(graph, target, contract, tiny_golden(graph, weights, rows))
    return target


def pooled_graph(
    kernels: np.ndarray, dense: np.ndarray, head: Sequence[onnx.NodeProto] = (), *constants: onnx.TensorProto
) -> onnx.ModelProto:
    """uint8 `image` [batch, H, W, 1] -> scale -> 2x2 convolution of stride 2, `maps` -> head -> `probabilities`.

    Where no head is given: global average pooling, flatten, dense with `dense` [classes, channels], softmax.
    """
    body = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["pixels", "scale"], ["scaled"]),
        helper.make_node("Transpose", ["scaled"], ["channels_first"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["channels_first", "kernels"], ["maps"], strides=[2, 2]),
    ]
    usual = [
        helper.make_node("GlobalAveragePool", ["maps"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "dense"], ["logits"], transB=1),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=-1),
    ]
    graph = helper.make_graph(
        [*body, *(head or usual)],
        "pooled",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", 8, 8, 1])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 3])],
        [
            numpy_helper.from_array(np.array(1 / 255, np.float32), "scale"),
            numpy_helper.from_array(kernels, "kernels"),
            numpy_helper.from_array(dense, "dense"),
            *constants,
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
